// Which images a view asks for.

/** A view's filter, with its names looked up. */
class Matching {
  /**
   * @param {Store} store
   * @param {View} view
   */
  constructor(store, view) {
    const { head } = store;
    this.store = store;
    this.view = view;
    this.complaints = [];
    this.offset = head.labels.length; // of a `what` in `wanted`
    this.wanted = this.lookUpClasses(head);
    this.reason = this.lookUp(
      "reason",
      head.reasons.map((reason) => reason.name),
    );
    this.split = this.lookUp("split", head.splits);
    this.show = this.lookUpShow(head);
    this.text = view.text.toLowerCase();
    [this.low, this.high] = view.score || [0, 1];
    this.asksOfScore = view.score !== null;
    this.asksOfBoxes = this.wanted !== null || this.asksOfScore || this.reason >= 0;
  }

  /** For each label and class whether it is asked for; null where none is. */
  lookUpClasses(head) {
    let wanted = null;
    for (const name of this.view.classes) {
      const places = [];
      const asClass = head.classes.indexOf(name);
      if (asClass >= 0) places.push(this.offset + asClass);
      const asLabel = head.labels.indexOf(name);
      if (asLabel >= 0) places.push(this.offset - 1 - asLabel);
      if (!places.length) this.complain("class", name);
      for (const place of places) {
        wanted ||= new Uint8Array(this.offset + head.classes.length);
        wanted[place] = 1;
      }
    }
    return wanted;
  }

  lookUp(kind, names) {
    const name = this.view[kind];
    if (name === null) return -1;
    if (!names.includes(name)) this.complain(kind, name);
    return names.indexOf(name);
  }

  lookUpShow(head) {
    const { show } = this.view;
    if (show !== "wrong" || head.truth) return show;
    this.complaints.push("This report has no ground truth: show=wrong is left out of the filter.");
    return "all";
  }

  complain(kind, name) {
    this.complaints.push(`This report has no ${kind} “${name}”: it is left out of the filter.`);
  }

  /** Whether a box is one that the filter is about. */
  countsBox(place) {
    const { whats, reasons, rights, scores } = this.store;
    const what = whats.values[place];
    const reason = reasons.values[place];
    if (this.wanted && !this.wanted[what + this.offset]) return false;
    if (this.asksOfScore) {
      const score = scores.values[place]; // NaN is in no range
      if (!(score >= this.low - 1e-6 && score <= this.high + 1e-6)) return false; // they are float32
    }
    if (this.reason >= 0) return reason === this.reason;
    if (this.show === "dropped") return reason >= 0;
    if (this.show === "wrong") return reason < 0 && rights.values[place] === 0;
    return reason < 0 || (what < 0 && this.wanted !== null);
  }

  /** Whether a true box is one that the filter is about: a missed one can be. */
  countsTruth(place) {
    if (this.show !== "wrong" || this.asksOfScore || this.reason >= 0) return false;
    const { trueWhats, trueFound } = this.store;
    const isWanted = !this.wanted || this.wanted[trueWhats.values[place] + this.offset];
    return Boolean(isWanted) && trueFound.values[place] === 0;
  }

  /** Whether the filter is about a box that is drawn. */
  counts({ kind, place }) {
    return kind === "truth" ? this.countsTruth(place) : this.countsBox(place);
  }

  matches(index) {
    const { store } = this;
    if (!hasShow(store.flags[index], this.show)) return false;
    if (this.split >= 0 && store.splits[index] !== this.split) return false;
    if (this.text && !store.lowerKeys[index].includes(this.text)) return false;
    if (!this.asksOfBoxes) return true;
    for (let place = store.firstBox[index]; place < store.firstBox[index + 1]; place++) {
      if (this.countsBox(place)) return true;
    }
    for (let place = store.firstTruth[index]; place < store.firstTruth[index + 1]; place++) {
      if (this.countsTruth(place)) return true;
    }
    return false;
  }

  /** Indexes of the images that match, in the view's order. */
  all() {
    return this.store.inOrder(this.view.sort).filter((index) => this.matches(index));
  }
}
