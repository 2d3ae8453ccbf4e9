// The page as a whole: what the data calls, and what follows when the view changes.

const PAUSE = 250; // ms between two looks at a growing report

const TOGGLES = { dropped: null, truth: null };

class Page {
  constructor(head) {
    this.store = new Store(head);
    this.matching = null;
    this.order = new Uint32Array();
    this.looked = -Infinity;
    document.body.classList.toggle("has-truth", head.truth);
    document.getElementById("scriptless").hidden = true;
    document.querySelector("main").hidden = false;
    for (const element of document.querySelectorAll("#summary [data-class]")) {
      element.style.setProperty("--class-colour", colourOf(Number(element.dataset.class)));
    }
    this.address = new Address((view, before) => this.reflect(view, before));
    this.filters = new Filters(this.store, this.address);
    this.gallery = new Gallery(this.store);
    this.viewer = new Viewer(this.store, this.address, (steps) => this.step(steps));
    document.addEventListener("keydown", (event) => this.press(event));
    this.openSummary();
    this.gallery.list.addEventListener("error", ({ target }) => this.missThumbnail(target), true);
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault(); // what it leads to is no view
      this.gallery.list.focus();
    });
    document.getElementById("keys-open").addEventListener("click", () => this.showKeys());
    if (location.hash.length > 1) this.scrollToImages();
    this.reflect(this.address.view, null);
  }

  /** The summary is a strip, of which all is shown for who asks; what it counts leads to the images. */
  openSummary() {
    const summary = document.getElementById("summary");
    const button = document.getElementById("summary-all");
    const show = (isWhole) => {
      summary.classList.toggle("whole", isWhole);
      button.setAttribute("aria-expanded", isWhole);
      button.textContent = isWhole ? "Less of the summary" : "Whole summary";
    };
    button.hidden = !summary.firstElementChild;
    button.addEventListener("click", () => show(!summary.classList.contains("whole")));
    summary.addEventListener("click", ({ target }) => {
      if (target.closest("a")) this.scrollToImages();
      else if (target.closest("summary")) show(true); // there is no room for a table in the strip
    });
  }

  /** Take the next images. A filter is not asked again for each chunk of a large report. */
  add(chunk) {
    this.store.add(chunk);
    if (this.store.isWhole || performance.now() - this.looked >= PAUSE) this.showLoaded();
  }

  showLoaded() {
    this.look();
    this.filters.count();
    this.looked = performance.now();
  }

  /** Load what doesn't lie in the page itself. */
  load(urls) {
    const folder = (url) => decodeURIComponent(url).split("/").slice(0, -1).join("/") || url;
    const end = (why) => {
      this.showLoaded(); // what has come so far
      this.trouble(why);
    };
    let expected = 0;
    const loaded = () => {
      const grew = this.store.loaded > expected;
      expected = this.store.loaded;
      if (!grew) end(`A file of the folder “${folder(urls[0])}” is damaged: make the report again.`);
      return grew;
    };
    loadInTurn(urls, loaded, (url) => {
      end(
        `The images of this page lie in the folder “${folder(url)}”, and ${decodeURIComponent(url)} can't be read: ` +
          "keep that folder beside this file, and send both together.",
      );
    });
  }

  trouble(text) {
    const line = document.getElementById("trouble");
    line.textContent = text;
    line.hidden = false;
    this.say(this.matching.complaints);
  }

  /** Follow a change of the view. */
  reflect(view, before) {
    const filter = (one) => one && JSON.stringify({ ...one, image: null });
    if (filter(view) !== filter(before)) {
      this.matching = new Matching(this.store, view);
      this.filters.reflect(view);
      this.look();
      const isBelow = document.getElementById("images").getBoundingClientRect().top < 0;
      if (
        before &&
        isBelow &&
        filter({ ...view, ...TOGGLES }) !== filter({ ...before, ...TOGGLES })
      ) {
        this.scrollToImages(); // others are there now
      }
    } else this.open();
  }

  scrollToImages() {
    document.getElementById("images").scrollIntoView({ behavior: "instant" });
  }

  missThumbnail(thumbnail) {
    const url = decodeURIComponent(thumbnail.getAttribute("src"));
    thumbnail.parentElement.classList.add("without");
    thumbnail.remove();
    this.trouble(
      `Thumbnails of this page can't be read, ${url} among them: keep that folder beside this file.`,
    );
  }

  /** Look which images match by now. */
  look() {
    this.order = this.matching.all();
    this.gallery.show(this.order, this.matching);
    const { store } = this;
    const { images } = store.head;
    document.getElementById("count").textContent =
      `${counted(this.order.length)} of ${counted(images, "image")}`;
    document.getElementById("progress").textContent = store.isWhole
      ? ""
      : `loaded ${counted(store.loaded)} of ${counted(images)}`;
    this.open();
  }

  /** Show the image that the view has open, or none. */
  open() {
    const { view } = this.address;
    const index = view.image === null ? undefined : this.store.indexes.get(view.image);
    const complaints = [...this.address.complaints, ...this.matching.complaints];
    if (index === undefined) {
      const left = this.viewer.shown !== null ? this.place : -1;
      this.viewer.reflect(null, view, "");
      if (left >= 0) this.gallery.focus(left);
      if (view.image !== null && this.store.isWhole)
        complaints.push(`This report has no image “${view.image}”.`);
    } else {
      this.place = this.order.indexOf(index);
      const place =
        this.place < 0
          ? "not among those that match"
          : `${counted(this.place + 1)} of ${counted(this.order.length)}`;
      this.viewer.reflect(index, view, place);
    }
    this.say(complaints);
  }

  /** Say what an address asked for in vain, or that nothing matches. */
  say(complaints) {
    const lines = [...complaints];
    if (this.store.isWhole && !this.store.loaded) lines.push("This dataset has no images.");
    else if (this.store.isWhole && !this.order.length)
      lines.push("No image matches these filters.");
    document
      .getElementById("notice")
      .replaceChildren(...lines.map((line) => make("span", "", line)));
  }

  /** Open the next image of those that match, or the one before. */
  step(steps) {
    const next = this.place < 0 ? (steps > 0 ? 0 : this.order.length - 1) : this.place + steps;
    if (next < 0 || next >= this.order.length) return;
    this.address.change({ image: this.store.keys[this.order[next]] }, { replace: true });
  }

  showKeys() {
    document.getElementById("keys").showModal();
  }

  press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const isOpen = this.viewer.dialog.open;
    if (document.getElementById("keys").open) return;
    const { target } = event;
    const types =
      ["TEXTAREA", "SELECT"].includes(target.tagName) ||
      (target.tagName === "INPUT" && target.type !== "checkbox");
    const scrolls = event.key.startsWith("Arrow") && target.closest("#summary");
    if (types || scrolls) return;
    const move = (steps) => (isOpen ? this.step(steps) : this.gallery.move(steps));
    const isAmongTiles = !isOpen && this.gallery.focused >= 0;
    const actions = {
      ArrowRight: () => move(1),
      j: () => move(1),
      ArrowLeft: () => move(-1),
      k: () => move(-1),
      d: () => this.viewer.toggleDropped(),
      t: () => (isOpen ? this.viewer.turnTruth() : this.viewer.toggleTruth()),
      "?": () => this.showKeys(),
      ...(isAmongTiles && {
        ArrowDown: () => move(this.gallery.columns),
        ArrowUp: () => move(-this.gallery.columns),
      }),
      ...(isOpen && {
        "+": () => this.viewer.zoom?.in(),
        "=": () => this.viewer.zoom?.in(), // where + is above it
        "-": () => this.viewer.zoom?.out(),
        0: () => this.viewer.zoom?.fit(),
      }),
    };
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
}

/** What the data calls: once with what holds for the report, then with its images, part by part. */
const florenceReport = {
  begin(head) {
    this.page = new Page(head);
    this.page.load(head.chunks);
  },
  chunk(chunk) {
    this.page.add(chunk);
  },
};
