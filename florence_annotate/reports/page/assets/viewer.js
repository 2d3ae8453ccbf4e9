// One image, large: its boxes over it, and everything that is known about them beside it.

const SCORED_BY = {
  probability: "score: an estimate of the probability that label and box are right",
  mean: "score: the mean probability of the answer's tokens",
};

class Viewer {
  /**
   * @param {Store} store
   * @param {Address} address
   * @param {(steps: number) => void} step opens the next image, or the one before
   */
  constructor(store, address, step) {
    this.store = store;
    this.address = address;
    this.dialog = document.getElementById("viewer");
    this.panes = document.getElementById("viewer-panes");
    this.facts = document.getElementById("viewer-facts");
    this.shown = null; // the image that is drawn
    this.zoom = null;
    const actions = {
      "viewer-previous": () => step(-1),
      "viewer-next": () => step(1),
      "viewer-close": () => address.close(),
      "viewer-dropped": () => this.toggleDropped(),
      "viewer-truth": () => this.turnTruth(),
      "zoom-in": () => this.zoom?.in(),
      "zoom-out": () => this.zoom?.out(),
      "zoom-fit": () => this.zoom?.fit(),
    };
    for (const [id, act] of Object.entries(actions)) {
      document.getElementById(id).addEventListener("click", act);
    }
    this.dialog.addEventListener("close", () => {
      // by Esc, and not because another one was opened since
      if (!this.dialog.open && address.view.image !== null) address.close();
    });
    new ResizeObserver(() => this.zoom?.place()).observe(this.panes);
  }

  toggleDropped() {
    this.address.change(
      { dropped: drawsDropped(this.address.view) ? "0" : "1" },
      { replace: true },
    );
  }

  toggleTruth() {
    if (!this.store.head.truth) return;
    this.address.change(
      { truth: placeOfTruth(this.address.view) === "0" ? "1" : "0" },
      { replace: true },
    );
  }

  /** Truth over the boxes, then beside them, then nowhere. */
  turnTruth() {
    if (!this.store.head.truth) return;
    const next = { 1: "beside", beside: "0", 0: "1" }[placeOfTruth(this.address.view)];
    this.address.change({ truth: next }, { replace: true });
  }

  /**
   * Show an image of the view, or close.
   * @param {?number} index
   * @param {string} place where it is among those that match
   */
  reflect(index, view, place) {
    if (index === null) {
      this.dialog.close();
      this.shown = null;
      return;
    }
    const truth = this.store.head.truth ? placeOfTruth(view) : "0";
    document.getElementById("viewer-place").textContent = place;
    document.getElementById("viewer-dropped").setAttribute("aria-pressed", drawsDropped(view));
    document.getElementById("viewer-truth").textContent = {
      0: "Truth: off",
      1: "Truth: over",
      beside: "Truth: beside",
    }[truth];
    this.dialog.classList.toggle("without-dropped", !drawsDropped(view));
    if (!this.dialog.open) this.dialog.showModal();
    const drawn = `${index} ${truth}`;
    if (drawn !== this.shown) this.draw(this.store.image(index), truth);
    this.shown = drawn;
  }

  draw(image, truth) {
    document.getElementById("viewer-name").textContent = image.key;
    this.elements = new Map();
    const panes = [this.makePane(image, truth === "beside" ? "prediction" : "")];
    if (truth === "beside") panes.push(this.makePane(image, "truth"));
    this.panes.replaceChildren(...panes);
    this.panes.classList.toggle("over", truth === "1");
    const isShowable = image.failure === undefined && image.width > 0;
    this.zoom = isShowable ? new Zoom(panes, image) : null;
    if (isShowable) {
      const scale = this.zoom.fitting;
      const draw = (pane, boxes) => {
        const picture = pane.querySelector(".picture");
        const drawn = drawBoxes(picture, this.store, image, boxes, scale, false);
        drawn.forEach((element, box) => this.elements.set(box, element));
      };
      draw(panes[0], truth === "1" ? [...image.boxes, ...image.truth] : image.boxes);
      if (truth === "beside") draw(panes[1], image.truth);
    }
    this.facts.replaceChildren(...this.factsAbout(image));
    this.facts.scrollTop = 0;
  }

  makePane(image, caption) {
    const pane = make("div", "pane");
    if (image.failure !== undefined) {
      pane.append(make("p", "failure", image.failure));
      return pane;
    }
    const picture = make("div", "picture");
    const sources = [image.picture, image.thumbnail].filter((source) => source !== undefined);
    if (image.thumbnail) picture.style.backgroundImage = `url("${image.thumbnail}")`; // until it is there
    const shown = make("img");
    Object.assign(shown, { alt: "", draggable: false });
    const showNext = () => {
      const source = sources.shift();
      if (source === undefined) {
        shown.remove();
        pane.append(
          make(
            "p",
            "aside",
            "The picture can't be shown: it isn't beside this page, or of a kind that browsers don't show.",
          ),
        );
      } else {
        if (source === image.thumbnail) {
          const why = image.picture
            ? "the picture itself can't be read from here."
            : "the dataset does not have this picture.";
          pane.append(make("p", "aside", `Shown small: ${why}`));
        }
        shown.src = source;
      }
    };
    shown.addEventListener("error", showNext);
    showNext();
    picture.append(shown);
    pane.append(picture);
    if (caption) pane.append(make("p", "pane-caption", caption));
    return pane;
  }

  factsAbout(image) {
    const { store } = this;
    const parts = [];
    const size = image.width ? `${image.width} × ${image.height} px` : "";
    parts.push(
      make("p", "facts", [size, image.split, ...factsOf(image)].filter(Boolean).join(" · ")),
    );
    if (image.failure !== undefined) parts.push(make("p", "failure", image.failure));
    if (image.flags & TRUNCATED) {
      parts.push(
        make(
          "p",
          "aside",
          "An answer about this image was cut off at its greatest length: there may be more.",
        ),
      );
    }
    for (const caption of image.captions) parts.push(written("blockquote", "", caption));
    const kept = image.boxes.filter(({ kind }) => kind === "kept");
    const dropped = image.boxes.filter(({ kind }) => kind === "dropped");
    const missed = image.truth.filter(fails);
    const groups = [
      ["Kept", kept],
      ["Missed", missed],
      ["Dropped", dropped],
    ];
    groups.push(["Found", image.truth.filter(({ isRight }) => isRight)]);
    groups.push(["Not evaluated", image.truth.filter(({ isRight }) => isRight === null)]);
    for (const [title, boxes] of groups) {
      if (!boxes.length) continue;
      parts.push(make("h3", "", `${title} (${counted(boxes.length)})`));
      const list = make("ul", "boxes");
      list.append(...boxes.map((box) => this.row(box)));
      parts.push(list);
    }
    if (kept.length) parts.push(make("p", "aside", SCORED_BY[store.head.scored_by]));
    return parts;
  }

  /** A box in words; whoever points at it sees it, and a click zooms to it. */
  row(box) {
    const { store } = this;
    const item = make("li");
    const button = make("button", box.kind);
    button.type = "button";
    button.style.setProperty("--class-colour", colourOf(box.what));
    button.append(make("span", "swatch"), make("span", "name", store.nameOf(box.what)));
    button.append(make("span", "score", scoreText(box.score)));
    if (box.kind === "dropped")
      button.append(make("span", "reason", store.head.reasons[box.reason].text));
    if (box.text !== undefined) button.append(written("span", "reason", box.text));
    if (box.kind === "kept" && fails(box))
      button.append(make("span", "reason", "wrong: it meets no true object of its class"));
    const light = (isLit) => {
      const element = this.elements.get(box);
      if (!element) return; // it is not drawn
      element.classList.toggle("lit", isLit);
      this.panes.classList.toggle("has-lit", isLit);
    };
    for (const event of ["pointerenter", "focus"])
      button.addEventListener(event, () => light(true));
    for (const event of ["pointerleave", "blur"])
      button.addEventListener(event, () => light(false));
    button.addEventListener("click", () => box.corners && this.zoom?.show(box.corners));
    item.append(button);
    return item;
  }
}
