// The gallery: of many thousand tiles only those that can be seen are elements of the page.

const NARROWEST_TILE = 230; // CSS pixels
const GAP = 10;
const CAPTION = 42; // height below the picture
const FRAME = 3 / 4; // height of the picture's frame by its width
const ROWS_AHEAD = 2; // drawn above and below what is seen

class Gallery {
  /**
   * @param {Store} store
   */
  constructor(store) {
    this.store = store;
    this.list = document.getElementById("gallery");
    this.order = new Uint32Array();
    this.tiles = new Map(); // place in the order → element
    this.matching = null;
    this.columns = this.tileWidth = this.frameHeight = this.rowHeight = 0; // see `measure`
    const redraw = () => this.draw();
    window.addEventListener("scroll", redraw, { passive: true });
    new ResizeObserver(() => this.measure()).observe(this.list);
  }

  /**
   * Show these images.
   * @param {Uint32Array} order their indexes
   * @param {Matching} matching of the view that asked for them
   */
  show(order, matching) {
    const grows = matching === this.matching;
    for (const [place, tile] of this.tiles) {
      if (!grows || Number(tile.dataset.index) !== order[place]) this.remove(place);
    }
    this.order = order;
    this.matching = matching;
    this.measure();
  }

  remove(place) {
    this.tiles.get(place).remove();
    this.tiles.delete(place);
  }

  /** Settle how wide tiles are, then draw them. */
  measure() {
    const width = this.list.clientWidth;
    const columns = Math.max(1, Math.floor((width + GAP) / (NARROWEST_TILE + GAP)));
    const tileWidth = Math.floor((width - GAP * (columns - 1)) / columns);
    if (columns !== this.columns || tileWidth !== this.tileWidth) {
      for (const place of [...this.tiles.keys()]) this.remove(place);
      Object.assign(this, { columns, tileWidth });
      this.frameHeight = Math.round(tileWidth * FRAME);
      this.rowHeight = this.frameHeight + CAPTION + GAP;
    }
    const rows = Math.ceil(this.order.length / columns);
    this.list.style.height = `${rows * this.rowHeight}px`;
    this.draw();
  }

  /** Make the tiles that have come into sight, and remove those that have left it. */
  draw() {
    if (!this.tileWidth) return;
    const top = -this.list.getBoundingClientRect().top;
    const firstRow = Math.floor(top / this.rowHeight) - ROWS_AHEAD;
    const lastRow = Math.floor((top + innerHeight) / this.rowHeight) + ROWS_AHEAD;
    const first = Math.max(0, firstRow * this.columns);
    const end = Math.min(this.order.length, (lastRow + 1) * this.columns);
    for (const [place, tile] of this.tiles) {
      const isSeen = place >= first && place < end;
      if (!isSeen && !tile.contains(document.activeElement)) this.remove(place);
    }
    let before = this.list.firstElementChild;
    for (let place = first; place < end; place++) {
      if (this.tiles.has(place)) {
        before = this.tiles.get(place).nextElementSibling;
        continue;
      }
      while (before && Number(before.dataset.place) < place) before = before.nextElementSibling;
      const tile = this.makeTile(place);
      this.tiles.set(place, tile);
      this.list.insertBefore(tile, before);
    }
  }

  makeTile(place) {
    const { store, matching } = this;
    const { view } = matching;
    const image = store.image(this.order[place]);
    const item = make("li");
    Object.assign(item.dataset, { place, index: image.index });
    item.setAttribute("aria-posinset", place + 1);
    item.setAttribute("aria-setsize", this.order.length);
    item.style.width = `${this.tileWidth}px`;
    item.style.left = `${(place % this.columns) * (this.tileWidth + GAP)}px`;
    item.style.top = `${Math.floor(place / this.columns) * this.rowHeight}px`;
    const tile = make("a", "tile");
    tile.href = writeView({ ...view, image: image.key });
    tile.dataset.key = image.key;
    const facts = factsOf(image);
    tile.setAttribute("aria-label", [image.key, ...facts].join(", "));
    tile.title = image.key;
    const frame = make("div", "frame");
    frame.style.height = `${this.frameHeight}px`;
    frame.append(this.drawPicture(image));
    const name = make("span", "name");
    const slash = image.key.lastIndexOf("/") + 1; // the folders shrink, the name stays
    name.append(
      make("span", "folders", image.key.slice(0, slash)),
      make("bdi", "", image.key.slice(slash)),
    );
    tile.append(frame, name, make("span", "facts", facts.join(" · ")));
    item.append(tile);
    return item;
  }

  drawPicture(image) {
    if (image.failure !== undefined) return make("p", "failure", image.failure);
    const { width, height } = image;
    const scale = Math.min(this.tileWidth / width, this.frameHeight / height);
    const picture = make("div", "picture");
    picture.style.width = `${width * scale}px`;
    picture.style.height = `${height * scale}px`;
    if (image.thumbnail) {
      const thumbnail = make("img");
      Object.assign(thumbnail, {
        src: image.thumbnail,
        alt: "",
        decoding: "sync",
        draggable: false,
      });
      picture.append(thumbnail);
    } else picture.classList.add("without");
    const { view } = this.matching;
    const boxes = image.boxes.filter(({ kind }) => kind === "kept" || drawsDropped(view));
    const missed = placeOfTruth(view) === "0" ? [] : image.truth.filter(fails);
    const drawn = drawBoxes(picture, this.store, image, [...boxes, ...missed], scale, true);
    if (this.matching.asksOfBoxes) {
      for (const [box, element] of drawn) {
        element.classList.toggle("aside", !this.matching.counts(box));
      }
    }
    return picture;
  }

  /** The place of the tile that has the focus, or -1. */
  get focused() {
    const item = document.activeElement?.closest("#gallery > li");
    return item ? Number(item.dataset.place) : -1;
  }

  /** Move the focus by some tiles; the first one is the first that is seen. */
  move(steps) {
    const { focused } = this;
    if (focused >= 0) return this.focus(focused + steps);
    const top = Math.max(0, -this.list.getBoundingClientRect().top);
    return this.focus(Math.ceil(top / this.rowHeight) * this.columns);
  }

  /** Bring a tile into sight and give it the focus. */
  focus(place) {
    if (!this.order.length) return;
    const within = Math.min(Math.max(place, 0), this.order.length - 1);
    const rowTop =
      this.list.getBoundingClientRect().top + Math.floor(within / this.columns) * this.rowHeight;
    const bar = document.getElementById("bar").offsetHeight;
    if (rowTop < bar) scrollBy({ top: rowTop - bar - GAP, behavior: "instant" });
    else if (rowTop + this.rowHeight > innerHeight) {
      scrollBy({ top: rowTop + this.rowHeight - innerHeight, behavior: "instant" });
    }
    this.draw();
    this.tiles.get(within).firstElementChild.focus({ preventScroll: true });
  }
}

/** What is to be said about an image in a few words each. */
function factsOf(image) {
  if (image.failure !== undefined) return ["failed"];
  const dropped = image.boxes.filter(({ kind }) => kind === "dropped").length;
  const kept = image.boxes.length - dropped;
  const texts = image.captions.length;
  const wrong = image.boxes.filter(fails).length;
  const missed = image.truth.filter(fails).length;
  return [
    kept && counted(kept, "box", "boxes"),
    texts && counted(texts, "text"),
    !kept && !texts && "no boxes",
    dropped && `${counted(dropped)} dropped`,
    wrong && `${counted(wrong)} wrong`,
    missed && `${counted(missed)} missed`,
    image.flags & TRUNCATED && "answer cut off",
    image.flags & LEFT_OUT && "not in the dataset",
  ].filter(Boolean);
}
