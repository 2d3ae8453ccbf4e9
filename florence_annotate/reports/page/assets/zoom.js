// Zooming and moving a picture, by wheel, buttons, fingers and dragging; several panes go together.

const MOST = 40; // times the size that fits
const STEP = 1.4; // of a button

class Zoom {
  /**
   * @param {HTMLElement[]} panes each with one `.picture`, of the same image
   * @param {{width: number, height: number}} size of the image in its pixels
   */
  constructor(panes, size) {
    this.panes = panes;
    this.size = size;
    this.pointers = new Map(); // fingers that are down
    this.fit();
    for (const pane of panes) {
      pane.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
      pane.addEventListener("dblclick", (event) => this.by(2, this.within(event)));
      pane.addEventListener("pointerdown", (event) => {
        if (event.button !== 0) return;
        pane.setPointerCapture(event.pointerId);
        this.pointers.set(event.pointerId, event);
      });
      pane.addEventListener("pointermove", (event) => this.drag(event));
      for (const ended of ["pointerup", "pointercancel"]) {
        pane.addEventListener(ended, (event) => this.pointers.delete(event.pointerId));
      }
    }
  }

  /** CSS pixels of a pane. */
  get room() {
    return { width: this.panes[0].clientWidth, height: this.panes[0].clientHeight };
  }

  /** CSS pixels a pixel of the image, where all of it is shown. */
  get fitting() {
    const { width, height } = this.room;
    return Math.min(width / this.size.width, height / this.size.height);
  }

  fit() {
    this.factor = 1;
    this.centre = { x: this.size.width / 2, y: this.size.height / 2 }; // in pixels of the image
    this.place();
  }

  /** The point of the image that an event is at. */
  within(event) {
    const pane = event.target.closest(".pane").getBoundingClientRect();
    return this.pointAt(event.clientX - pane.left, event.clientY - pane.top);
  }

  pointAt(x, y) {
    const { width, height } = this.room;
    const scale = this.fitting * this.factor;
    return {
      x: this.centre.x + (x - width / 2) / scale,
      y: this.centre.y + (y - height / 2) / scale,
    };
  }

  /** Zoom by a factor; a point of the image stays where it is seen. */
  by(factor, point = this.centre) {
    const before = this.factor;
    this.factor = Math.min(Math.max(before * factor, 1), MOST);
    const kept = before / this.factor;
    this.centre.x = point.x + (this.centre.x - point.x) * kept;
    this.centre.y = point.y + (this.centre.y - point.y) * kept;
    this.place();
  }

  in() {
    this.by(STEP);
  }

  out() {
    this.by(1 / STEP);
  }

  /** Zoom to a box, with some room around it. */
  show([x1, y1, x2, y2]) {
    const { width, height } = this.room;
    const scale = 0.6 * Math.min(width / Math.max(x2 - x1, 1), height / Math.max(y2 - y1, 1));
    this.factor = Math.min(Math.max(scale / this.fitting, 1), MOST);
    this.centre = { x: (x1 + x2) / 2, y: (y1 + y2) / 2 };
    this.place();
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.by(Math.exp(-event.deltaY * lines * 0.002), this.within(event));
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const others = [...this.pointers.values()].filter((other) => other !== before);
    this.pointers.set(event.pointerId, event);
    const scale = this.fitting * this.factor * (others.length + 1); // two fingers move it half each
    this.centre.x -= (event.clientX - before.clientX) / scale;
    this.centre.y -= (event.clientY - before.clientY) / scale;
    if (others.length === 1) {
      const distance = (one) =>
        Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
      this.by(distance(event) / Math.max(distance(before), 1));
    } else this.place();
  }

  /** Put the pictures where they belong; the image never leaves its pane. */
  place() {
    const room = this.room;
    const scale = this.fitting * this.factor;
    for (const [axis, side] of [
      ["x", "width"],
      ["y", "height"],
    ]) {
      const half = room[side] / 2 / scale;
      const size = this.size[side];
      this.centre[axis] =
        half * 2 >= size ? size / 2 : Math.min(Math.max(this.centre[axis], half), size - half);
    }
    for (const pane of this.panes) {
      const picture = pane.querySelector(".picture");
      picture.style.width = `${this.size.width * scale}px`;
      picture.style.height = `${this.size.height * scale}px`;
      picture.style.left = `${room.width / 2 - this.centre.x * scale}px`;
      picture.style.top = `${room.height / 2 - this.centre.y * scale}px`;
      picture.classList.toggle("pixels", scale >= 3);
    }
  }
}
