// The images and their boxes. They come in chunks of plain objects and are kept as typed arrays:
// half a million boxes as objects would be hundreds of megabytes.

/** A typed array that grows. */
class Column {
  /** @param {new (length: number) => any} Type of typed arrays */
  constructor(Type) {
    this.values = new Type(1024);
    this.length = 0;
  }

  push(value) {
    if (this.length === this.values.length) {
      const larger = new this.values.constructor(this.length * 2);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }
}

/** What an image is, as bits. */
const TRUNCATED = 1;
const LEFT_OUT = 2;
const FAILED = 4;
const LABELLED = 8;
const HAS_DROPPED = 16;
const IS_WRONG = 32;
const FLAG_OF_SHOW = {
  labelled: LABELLED,
  failed: FAILED,
  truncated: TRUNCATED,
  dropped: HAS_DROPPED,
  wrong: IS_WRONG,
  "left-out": LEFT_OUT,
};

/**
 * One box, for drawing.
 * @typedef {object} Box
 * @property {"kept" | "dropped" | "truth"} kind
 * @property {number} place its place among the image's boxes, or among those of its truth
 * @property {?number[]} corners x1, y1, x2, y2 in pixels of the image; null: it never had a box
 * @property {number} what index of its class, or -1-i for the label i of no class
 * @property {?number} score 0 … 1
 * @property {number} reason index of the reason for which it was dropped, or -1
 * @property {?boolean} isRight of a kept box, whether truth has it; of a true one, whether it was
 *   found; null where nobody can tell
 * @property {number[][]} polygons [[x, y, x, y, …], …] in pixels, filled by the even-odd rule
 * @property {string} [text] what is printed there, or what describes it
 */

class Store {
  /** @param {object} head see `florenceReport.begin` */
  constructor(head) {
    this.head = head;
    this.loaded = 0;
    // one value an image
    this.keys = [];
    this.lowerKeys = [];
    this.pictures = [];
    this.thumbnails = [];
    this.failures = new Map();
    this.captions = new Map();
    this.widths = new Int32Array(head.images);
    this.heights = new Int32Array(head.images);
    this.splits = new Int16Array(head.images).fill(-1);
    this.flags = new Uint8Array(head.images);
    this.badness = new Float32Array(head.images);
    this.firstBox = new Uint32Array(head.images + 1);
    this.firstTruth = new Uint32Array(head.images + 1);
    // one value a box, kept ones of an image first
    this.corners = new Column(Float32Array); // four; NaN: it has none
    this.whats = new Column(Int32Array);
    this.scores = new Column(Float32Array); // NaN: none
    this.reasons = new Column(Int8Array);
    this.rights = new Column(Int8Array); // 1, 0, or -1 where nobody knows
    this.outlines = new Column(Int32Array); // place in `points`, or -1
    this.points = new Column(Int32Array); // of an outline: how many polygons; of each: how many numbers, x, y, …
    this.texts = new Map();
    // one value a true box
    this.trueCorners = new Column(Float32Array);
    this.trueWhats = new Column(Int32Array);
    this.trueFound = new Column(Int8Array); // as rights
    // how many there are, by what the filter offers
    this.ofWhat = new Uint32Array(head.labels.length + head.classes.length); // kept, and dropped labels
    this.ofReason = new Uint32Array(head.reasons.length);
    this.ofSplit = new Uint32Array(head.splits.length);
    this.ofShow = Object.fromEntries(Object.keys(SHOWS).map((show) => [show, 0]));
    this.indexes = new Map();
    this.worstFirst = null;
  }

  get isWhole() {
    return this.loaded === this.head.images;
  }

  /** Take the next images, in the order of their keys. */
  add(chunk) {
    if (chunk.first !== this.loaded) {
      throw new Error(`images ${chunk.first} … came where ${this.loaded} … were awaited`);
    }
    for (const image of chunk.images) this.addImage(image);
    this.worstFirst = null;
  }

  addImage(image) {
    const index = this.loaded++;
    this.keys.push(image.k);
    this.lowerKeys.push(image.k.toLowerCase());
    this.indexes.set(image.k, index);
    this.pictures.push(image.x);
    this.thumbnails.push(image.t);
    if (image.f !== undefined) this.failures.set(index, image.f);
    if (image.c) this.captions.set(index, image.c);
    this.widths[index] = image.w;
    this.heights[index] = image.h;
    if (image.s !== undefined) {
      this.splits[index] = image.s;
      this.ofSplit[image.s]++;
    }
    this.badness[index] = image.q;
    let flags = (image.u ? TRUNCATED : 0) | (image.o ? LEFT_OUT : 0);
    if (image.f !== undefined) flags |= FAILED;
    if (image.c?.some((text) => text.trim())) flags |= LABELLED;
    for (const box of image.b) flags |= this.addBox(box);
    for (const box of image.g || []) flags |= this.addTruth(box);
    this.firstBox[index + 1] = this.whats.length;
    this.firstTruth[index + 1] = this.trueWhats.length;
    this.flags[index] = flags;
    for (const show in SHOWS) if (hasShow(flags, show)) this.ofShow[show]++;
  }

  /** @returns {number} what a box makes its image */
  addBox([x1, y1, x2, y2, what, score, reason, right, polygons, text]) {
    if (text !== undefined) this.texts.set(this.whats.length, text);
    for (const value of [x1, y1, x2, y2]) this.corners.push(value === null ? NaN : value);
    this.whats.push(what);
    this.scores.push(score === null ? NaN : score);
    this.reasons.push(reason);
    this.rights.push(right);
    this.outlines.push(polygons ? this.points.length : -1);
    if (polygons) {
      this.points.push(polygons.length);
      for (const polygon of polygons) {
        this.points.push(polygon.length);
        for (const value of polygon) this.points.push(value);
      }
    }
    if (reason < 0 || what < 0) this.ofWhat[what + this.head.labels.length]++;
    if (reason >= 0) {
      this.ofReason[reason]++;
      return HAS_DROPPED;
    }
    return LABELLED | (right === 0 ? IS_WRONG : 0);
  }

  addTruth([x1, y1, x2, y2, what, found]) {
    for (const value of [x1, y1, x2, y2]) this.trueCorners.push(value);
    this.trueWhats.push(what);
    this.trueFound.push(found);
    return found === 0 ? IS_WRONG : 0;
  }

  /** The name of a class, or a label of none. */
  nameOf(what) {
    return what < 0 ? this.head.labels[-1 - what] : this.head.classes[what];
  }

  /**
   * Everything about one image, its boxes as objects.
   * @param {number} index
   */
  image(index) {
    const boxes = [];
    for (let place = this.firstBox[index]; place < this.firstBox[index + 1]; place++) {
      const score = this.scores.values[place];
      boxes.push({
        kind: this.reasons.values[place] < 0 ? "kept" : "dropped",
        place,
        corners: cornersAt(this.corners, place),
        what: this.whats.values[place],
        score: Number.isNaN(score) ? null : score,
        reason: this.reasons.values[place],
        isRight: asAnswer(this.rights.values[place]),
        polygons: this.polygonsOf(place),
        text: this.texts.get(place),
      });
    }
    const truth = [];
    for (let place = this.firstTruth[index]; place < this.firstTruth[index + 1]; place++) {
      truth.push({
        kind: "truth",
        place,
        corners: cornersAt(this.trueCorners, place),
        what: this.trueWhats.values[place],
        score: null,
        reason: -1,
        isRight: asAnswer(this.trueFound.values[place]),
        polygons: [],
      });
    }
    return {
      index,
      key: this.keys[index],
      picture: this.pictures[index],
      thumbnail: this.thumbnails[index],
      width: this.widths[index],
      height: this.heights[index],
      split: this.head.splits[this.splits[index]],
      flags: this.flags[index],
      failure: this.failures.get(index),
      captions: this.captions.get(index) || [],
      boxes,
      truth,
    };
  }

  polygonsOf(box) {
    let at = this.outlines.values[box];
    if (at < 0) return [];
    const points = this.points.values;
    return Array.from({ length: points[at++] }, () => {
      const end = at + 1 + points[at];
      const polygon = points.slice(at + 1, end);
      at = end;
      return polygon;
    });
  }

  /** The loaded images in an order: by name as they came, or the worst first. */
  inOrder(sort) {
    if (sort === "name") return Uint32Array.from({ length: this.loaded }, (_, index) => index);
    this.worstFirst ||= this.inOrder("name").sort(
      (one, other) => this.badness[other] - this.badness[one] || one - other,
    );
    return this.worstFirst;
  }
}

function cornersAt(corners, place) {
  const [x1, y1, x2, y2] = corners.values.subarray(place * 4, place * 4 + 4);
  return Number.isNaN(x1) ? null : [x1, y1, x2, y2];
}

/** Yes, no, or nobody can tell. */
function asAnswer(number) {
  return number < 0 ? null : number === 1;
}

/** Whether images of these flags are among those that `show` names. */
function hasShow(flags, show) {
  if (show === "all") return true;
  if (show === "empty") return !(flags & (LABELLED | FAILED));
  return Boolean(flags & FLAG_OF_SHOW[show]);
}
