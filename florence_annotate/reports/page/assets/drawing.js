// Boxes, outlines and labels over a picture, as elements that are placed in percent of it: they
// follow its size, and their lines and letters keep theirs.

/** An element with a class and text; text is never read as HTML. */
function make(tag, className = "", text = undefined) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** The same for a text in any language, which begins where its letters do. */
function written(tag, className, text) {
  const element = make(tag, className, text);
  element.dir = "auto";
  return element;
}

const GOLDEN_ANGLE = 137.508; // degrees: hues one after another lie far apart

/**
 * The colour of a class, light enough for black letters and dark enough to be seen on white;
 * grey for labels of no class.
 */
function colourOf(what) {
  if (what < 0) return "oklch(0.8 0 0)";
  const lightness = [0.76, 0.84, 0.68][Math.floor(what / 8) % 3]; // hues come near again after eight
  return `oklch(${lightness} 0.17 ${((what * GOLDEN_ANGLE + 145) % 360).toFixed(1)})`;
}

/** A score as it is written beside a label. */
function scoreText(score) {
  return score === null ? "" : score.toFixed(2);
}

/** Whether truth says that a box is wrong, or that a true one was missed. */
function fails(box) {
  return box.isRight === false;
}

const LABEL_HEIGHT = 16; // CSS pixels
const LETTER = 6.8; // width of one, about
const PADDING = 8;
const NARROWEST = 30; // box of a small picture that gets a label
const NARROWEST_LABEL = { kept: 78, dropped: 110, truth: 96 }; // may be wider than its box

/** What stands at a box; in a small picture only what has room there. */
function labelOf(store, box, width, isSmall) {
  const name = store.nameOf(box.what);
  if (box.kind === "truth") return fails(box) ? `missed ${name}` : name;
  if (box.kind === "dropped") {
    const reason = store.head.reasons[box.reason].name;
    return isSmall ? `${reason}: ${name}` : `${name} ${scoreText(box.score)} · ${reason}`;
  }
  const named = fails(box) ? `✗ ${name}` : name;
  const full = `${named} ${scoreText(box.score)}`;
  if (isSmall) return full.length * LETTER + PADDING > width ? named : full;
  return box.text === undefined ? full : `${full} · ${box.text}`;
}

/**
 * Draw boxes over a picture.
 * @param {HTMLElement} picture what covers exactly the picture
 * @param {Store} store
 * @param {{width: number, height: number}} size of the image in its pixels
 * @param {Box[]} boxes
 * @param {number} scale CSS pixels a pixel of the image, for the place of labels
 * @param {boolean} isSmall whether labels have to be few and short
 * @returns {Map<Box, HTMLElement>}
 */
function drawBoxes(picture, store, size, boxes, scale, isSmall) {
  const drawn = new Map();
  const outlines = boxes.filter((box) => box.polygons.length);
  if (outlines.length) picture.append(drawOutlines(size, outlines));
  const placed = boxes.filter((box) => box.corners);
  const area = ({ corners: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
  for (const box of placed.sort((one, other) => area(other) - area(one))) {
    const [x1, y1, x2, y2] = box.corners;
    const element = make("div", `box ${box.kind}${fails(box) ? " fails" : ""}`);
    element.style.left = `${(x1 / size.width) * 100}%`;
    element.style.top = `${(y1 / size.height) * 100}%`;
    element.style.width = `${((x2 - x1) / size.width) * 100}%`;
    element.style.height = `${((y2 - y1) / size.height) * 100}%`;
    element.style.setProperty("--class-colour", colourOf(box.what));
    if (!isSmall || (x2 - x1) * scale >= NARROWEST) {
      const width = Math.max(NARROWEST_LABEL[box.kind], (x2 - x1) * scale);
      const label = make("span", "label", labelOf(store, box, width, isSmall));
      if (y1 * scale < LABEL_HEIGHT) label.classList.add("inside");
      if ((x1 + x2) / 2 > size.width * 0.6) label.classList.add("from-right");
      if (isSmall) label.style.maxWidth = `${width}px`;
      element.append(label);
    }
    picture.append(element);
    drawn.set(box, element);
  }
  return drawn;
}

function drawOutlines(size, boxes) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "outlines");
  for (const box of boxes) {
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", box.polygons.map((points) => `M${points.join(" ")}Z`).join(""));
    path.style.setProperty("--class-colour", colourOf(box.what));
    svg.append(path);
  }
  return svg;
}
