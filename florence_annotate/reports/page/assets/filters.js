// The form that filters, and what it says about how many there are.

const MOST_CLASSES = 60; // listed at once; the rest is found by name

/** A number as people read it. */
function counted(number, one = undefined, many = `${one}s`) {
  const text = number.toLocaleString("en-US");
  return one === undefined ? text : `${text} ${number === 1 ? one : many}`;
}

class Filters {
  /**
   * @param {Store} store
   * @param {Address} address
   */
  constructor(store, address) {
    this.store = store;
    this.address = address;
    this.form = document.getElementById("filters");
    this.fields = this.form.elements; // by name
    this.classes = document.getElementById("classes");
    const { head } = store;
    for (const [name, values] of [
      ["split", head.splits],
      ["reason", head.reasons],
      ["find", [...head.classes, ...head.labels]],
    ]) {
      this.fields[name].closest(".field").hidden = !values.length;
    }
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("input", (event) => this.take(event.target));
    for (const control of this.fields) {
      // those that stand outside the form bubble elsewhere
      if (!this.form.contains(control)) {
        control.addEventListener("input", (event) => this.take(event.target));
      }
    }
    document.getElementById("clear").addEventListener("click", () => this.clear());
    const isWide = matchMedia("(min-width: 800px)");
    const follow = () => {
      document.getElementById("filters-box").open = isWide.matches;
    };
    isWide.addEventListener("change", follow);
    follow();
  }

  /** Change the view as a control has it. */
  take(control) {
    const { name, value, checked } = control;
    if (name === "find") this.listClasses();
    else if (name === "text")
      this.address.change({ text: value }, { replace: Boolean(this.address.view.text) });
    else if (name === "low" || name === "high") this.takeScore();
    else if (name === "class") this.takeClass(value, checked);
    else if (name === "dropped" || name === "truth")
      this.address.change({ [name]: checked ? "1" : "0" });
    else this.address.change({ [name]: value || null });
  }

  takeScore() {
    const { low, high } = this.fields;
    if (!low.validity.valid || !high.validity.valid) return;
    const isSet = low.value !== "" || high.value !== "";
    const score = isSet ? [Number(low.value), high.value === "" ? 1 : Number(high.value)] : null;
    this.address.change({ score }, { replace: this.address.view.score !== null });
  }

  takeClass(name, isAdded) {
    const others = this.address.view.classes.filter((other) => other !== name);
    this.address.change({ classes: isAdded ? [...others, name] : others });
  }

  clear() {
    const { sort, dropped, truth } = this.address.view;
    this.address.change({ ...WHOLE, sort, dropped, truth });
  }

  /** Show the view in the form. */
  reflect(view) {
    const { fields } = this;
    if (fields.text.value !== view.text) fields.text.value = view.text;
    for (const [place, field] of [fields.low, fields.high].entries()) {
      const isBeingTyped = field === document.activeElement && view.score; // 0. is no number yet
      if (!isBeingTyped) field.value = view.score ? view.score[place] : "";
    }
    fields.sort.value = view.sort;
    fields.dropped.checked = drawsDropped(view);
    fields.truth.checked = placeOfTruth(view) !== "0";
    const { text, score, show, reason, split, classes } = view;
    const number = [text, score, show !== "all", reason, split, ...classes].filter(Boolean).length;
    document.getElementById("filters-set").textContent = number ? `(${number})` : "";
    document.getElementById("clear").disabled = !number;
    this.count();
  }

  /** Write how many there are of everything that can be chosen. */
  count() {
    const { store } = this;
    const { head } = store;
    const shows = Object.keys(SHOWS).filter((show) => show !== "wrong" || head.truth);
    this.offer(
      "show",
      shows.map((show) => [show, SHOWS[show], store.ofShow[show]]),
    );
    const reasons = head.reasons.map(({ name, text }, place) => [
      name,
      name,
      store.ofReason[place],
      text,
    ]);
    this.offer("reason", [["", "any reason, or kept"], ...reasons]);
    this.offer("split", [
      ["", "all"],
      ...head.splits.map((name, place) => [name, name, store.ofSplit[place]]),
    ]);
    this.listClasses();
  }

  /** Make the options of a choice: value, text, how many, and what it means. */
  offer(name, choices) {
    const select = this.fields[name];
    const asked = this.address.view[name] || "";
    const texts = choices.map(([value, text, number]) =>
      number === undefined ? text : `${text} (${counted(number)})`,
    );
    if (select.options.length !== choices.length) {
      select.replaceChildren(...choices.map(([value, text]) => new Option(text, value)));
    }
    choices.forEach(([value, text, number, title], place) => {
      const option = select.options[place];
      option.textContent = texts[place];
      option.title = title || "";
      option.disabled = number === 0 && value !== asked;
    });
    select.value = asked;
    if (select.selectedIndex < 0) select.selectedIndex = 0; // it is left out of the filter
  }

  /** List the classes and labels that are chosen, then those with the most boxes. */
  listClasses() {
    const { store } = this;
    const asked = this.address.view.classes;
    const part = this.fields.find.value.toLowerCase();
    const found = [];
    const labels = store.head.labels.length;
    store.ofWhat.forEach((number, place) => {
      const what = place - labels;
      const name = store.nameOf(what);
      const isAsked = asked.includes(name);
      if (isAsked || ((number || what >= 0) && name.toLowerCase().includes(part))) {
        found.push({ what, name, number, isAsked });
      }
    });
    const rank = ({ isAsked, what }) => (isAsked ? 0 : what >= 0 ? 1 : 2);
    found.sort(
      (one, other) => rank(one) - rank(other) || other.number - one.number || one.what - other.what,
    );
    const listed = found.slice(0, MOST_CLASSES);
    const focused = document.activeElement?.name === "class" ? document.activeElement.value : null;
    this.classes.replaceChildren(...listed.map((row) => this.classRow(row)));
    for (const box of this.classes.querySelectorAll("input"))
      if (box.value === focused) box.focus();
    const more = found.length - listed.length;
    document.getElementById("classes-more").textContent =
      more > 0
        ? `and ${counted(more)} more: find them by name`
        : found.length
          ? ""
          : "none of that name";
    this.fields.find.hidden = store.ofWhat.length < 12;
  }

  classRow({ what, name, number, isAsked }) {
    const row = make("li", what < 0 ? "no-class" : "");
    const label = make("label");
    const box = make("input");
    Object.assign(box, { type: "checkbox", name: "class", value: name, checked: isAsked });
    const swatch = make("span", "swatch");
    swatch.style.setProperty("--class-colour", colourOf(what));
    label.append(box, swatch, make("span", "name", name), make("span", "number", counted(number)));
    label.title = what < 0 ? `${name}: a label that belongs to no class` : name;
    row.append(label);
    return row;
  }
}
