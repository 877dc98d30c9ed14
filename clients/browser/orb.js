// @ts-check
/** The orb, as the page sees it: a canvas that a worker paints, so that it costs the page nothing. */

/** @typedef {import("./floor.js").State} State */

export class Orb {
  /** @param {HTMLCanvasElement} canvas whose style sheet gives each state its --orb-inner and --orb-outer */
  constructor(canvas) {
    this.canvas = canvas;
    /** @type {State} */
    this.state = "idle";
    this.worker = new Worker(new URL("orb-worker.js", import.meta.url), { type: "module" });
    const screen = canvas.transferControlToOffscreen();
    this.worker.postMessage({ canvas: screen }, [screen]);
    this.motion = matchMedia("(prefers-reduced-motion: reduce)");
    for (const query of [this.motion, matchMedia("(prefers-color-scheme: dark)")]) query.addEventListener("change", () => this.look());
    document.addEventListener("visibilitychange", () => this.look());
    new ResizeObserver(() => this.look()).observe(canvas);
  }

  /** @param {State} state */
  show(state) {
    if (state === this.state) return;
    this.state = state;
    this.look();
  }

  /** Tell the worker what it can't see: the style sheet, the size, the wish for stillness. */
  look() {
    const style = getComputedStyle(this.canvas);
    this.worker.postMessage({
      state: this.state,
      side: this.canvas.clientWidth,
      scale: Math.min(2, devicePixelRatio || 1),
      inner: style.getPropertyValue("--orb-inner"),
      outer: style.getPropertyValue("--orb-outer"),
      still: this.motion.matches,
      hidden: document.hidden,
    });
  }

  /** @returns {MessagePort} where a worklet says how loud it is */
  port() {
    const { port1, port2 } = new MessageChannel();
    this.worker.postMessage({ port: port1 }, [port1]);
    return port2;
  }
}
