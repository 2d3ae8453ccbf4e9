"use strict";
// What the page shows, and its place in the address: a link to it shows the same again.

/**
 * @typedef {object} View
 * @property {string[]} classes names of classes, or raw labels that belong to none; none: all
 * @property {?[number, number]} score lowest and highest score, both included
 * @property {string} show a key of SHOWS
 * @property {?string} reason name of the reason for which boxes were dropped
 * @property {?string} split
 * @property {string} sort "name" or "worst"
 * @property {string} text part of the image's key, in any case
 * @property {?string} image key of the opened image
 * @property {?string} dropped "0" or "1": whether dropped boxes are drawn; null: as the filter has it
 * @property {?string} truth "0", "1" or "beside": whether and where ground truth is drawn
 */

const SHOWS = {
  all: "all",
  labelled: "with a label",
  empty: "without a label",
  failed: "failed",
  truncated: "with an answer cut off",
  dropped: "with dropped boxes",
  wrong: "with wrong or missed boxes",
  "left-out": "not in the dataset",
};
const SORTS = ["name", "worst"];

/** @type {Readonly<View>} */
const WHOLE = Object.freeze({
  classes: [],
  score: null,
  show: "all",
  reason: null,
  split: null,
  sort: "name",
  text: "",
  image: null,
  dropped: null,
  truth: null,
});

/**
 * The view that an address asks for, and a line about each part that it can't have.
 * @param {string} hash with or without its "#"
 * @returns {{view: View, complaints: string[]}}
 */
function readView(hash) {
  const view = { ...WHOLE, classes: [] };
  const complaints = [];
  const oneOf = (name, value, values) => {
    if (values.includes(value)) view[name] = value;
    else complaints.push(`${name}=${value} is none of ${values.join(", ")}: it is left out.`);
  };
  for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ""))) {
    if (name === "class") view.classes.push(value);
    else if (name === "show") oneOf(name, value, Object.keys(SHOWS));
    else if (name === "sort") oneOf(name, value, SORTS);
    else if (name === "dropped") oneOf(name, value, ["0", "1"]);
    else if (name === "truth") oneOf(name, value, ["0", "1", "beside"]);
    else if (["reason", "split", "text", "image"].includes(name)) view[name] = value;
    else if (name === "score") {
      const found = /^(\d*\.?\d+(?:e-\d+)?)-(\d*\.?\d+(?:e-\d+)?)$/.exec(value);
      if (found) view.score = [Number(found[1]), Number(found[2])];
      else complaints.push(`score=${value} is no range such as 0.3-0.6: it is left out.`);
    } else complaints.push(`This page knows no “${name}” in its address.`);
  }
  return { view, complaints };
}

/**
 * The address of a view, with its "#": only what differs from the whole.
 * @param {View} view
 */
function writeView(view) {
  const asked = new URLSearchParams();
  for (const name of view.classes) asked.append("class", name);
  if (view.score) asked.set("score", view.score.join("-"));
  for (const name of ["show", "reason", "split", "sort", "text", "dropped", "truth", "image"]) {
    if (view[name] !== WHOLE[name]) asked.set(name, view[name]);
  }
  return "#" + asked;
}

/** Whether dropped boxes are drawn: where nobody said, where the filter is about them. */
function drawsDropped(view) {
  return view.dropped ? view.dropped === "1" : view.show === "dropped" || view.reason !== null;
}

/** Where ground truth is drawn: "0" (nowhere), "1" (over the boxes) or "beside" them. */
function placeOfTruth(view) {
  return view.truth || "1";
}

/** The view of the page. It is changed here, and by links, the back button and people who type. */
class Address {
  /** @param {(view: View, before: View) => void} changed called after each change */
  constructor(changed) {
    this.changed = changed;
    this.pause = 0;
    this.kept = null; // what was toggled beside an image that is being closed
    this.read();
    this.noteNew(false);
    document.addEventListener("click", () => this.write(), true); // before a link is followed
    window.addEventListener("hashchange", () => {
      const before = this.view;
      this.read();
      this.noteNew(before.image === null && this.view.image !== null);
      if (this.kept) {
        const kept = this.kept;
        this.kept = null;
        this.change(kept, { replace: true });
      } else this.changed(this.view, before);
    });
  }

  /** Whether going back closes the image. It is kept with the entry of the browser's history: who
   * comes back to an image that a link opened would leave the page by going back once more. */
  get openedHere() {
    return Boolean(history.state?.openedHere);
  }

  noteNew(openedHere) {
    if (history.state === null) history.replaceState({ openedHere }, "");
  }

  read() {
    ({ view: this.view, complaints: this.complaints } = readView(location.hash));
  }

  /**
   * Change the view. Each change is a step that the back button takes back, but for those that
   * replace the last one (typing, the next image): these are written a moment later, since browsers
   * refuse hundreds of addresses in a row.
   */
  change(changes, { replace = false } = {}) {
    const before = this.view;
    if (!replace) this.write();
    this.view = { ...before, ...changes };
    this.complaints = [];
    if (!replace) history.pushState({ openedHere: false }, "", writeView(this.view));
    else if (!this.pause) this.pause = setTimeout(() => this.write(), 200);
    this.changed(this.view, before);
  }

  /** Write what is still to be written. */
  write() {
    if (!this.pause) return;
    clearTimeout(this.pause);
    this.pause = 0;
    history.replaceState(history.state, "", writeView(this.view));
  }

  /** Close the image: where it was opened on this page, by going back to before. */
  close() {
    this.write();
    if (this.openedHere) {
      this.kept = { dropped: this.view.dropped, truth: this.view.truth };
      history.back();
    } else this.change({ image: null });
  }
}
