// @ts-check
/** A living shape that says at a glance who has the floor; moved by the levels of the microphone and the reply. */

/** @typedef {"idle" | "connecting" | "ready" | "listening" | "muted" | "hearing" | "thinking" | "speaking" | "stopped"} State */

const LAYERS = [
  { waves: [2, 3, 5], speed: 0.55, size: 1.0, alpha: 0.34 },
  { waves: [3, 4, 5], speed: -0.42, size: 0.93, alpha: 0.45 },
  { waves: [2, 4, 7], speed: 0.7, size: 0.84, alpha: 0.85 },
];

export class Orb {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {() => {state: State, heard: number, spoken: number}} look the state, and both levels (RMS, 0..1)
   */
  constructor(canvas, look) {
    this.canvas = canvas;
    this.look = look;
    const brush = canvas.getContext("2d");
    if (!brush) throw new Error("This browser has no canvas.");
    this.brush = brush;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.level = 0;
    this.clock = 0;
    this.last = 0;
    /** @type {number[]} */
    this.inner = [];
    /** @type {number[]} */
    this.outer = [];
    requestAnimationFrame((now) => this.draw(now));
  }

  /** @param {number} now */
  draw(now) {
    requestAnimationFrame((next) => this.draw(next));
    const passed = Math.min(0.05, (now - this.last) / 1000);
    this.last = now;
    const { state, heard, spoken } = this.look();
    const target = state === "speaking" ? loudness(spoken) : state === "hearing" || state === "listening" ? loudness(heard) : 0;
    this.level += (target - this.level) * Math.min(1, passed * (target > this.level ? 22 : 7));
    if (!this.still.matches) this.clock += passed * (state === "thinking" ? 2.2 : 1 + this.level * 1.5);
    this.tint(passed);
    this.paint(state);
  }

  /**
   * Move towards the colours that the style sheet gives to the state.
   * @param {number} passed
   */
  tint(passed) {
    const style = getComputedStyle(this.canvas);
    const inner = rgb(style.getPropertyValue("--orb-inner"));
    const outer = rgb(style.getPropertyValue("--orb-outer"));
    const part = this.inner.length === 0 || this.still.matches ? 1 : Math.min(1, passed * 6);
    this.inner = inner.map((value, at) => (this.inner[at] ?? value) + (value - (this.inner[at] ?? value)) * part);
    this.outer = outer.map((value, at) => (this.outer[at] ?? value) + (value - (this.outer[at] ?? value)) * part);
  }

  /** @param {State} state */
  paint(state) {
    const side = this.canvas.clientWidth;
    const scale = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(side * scale)) {
      this.canvas.width = Math.round(side * scale);
      this.canvas.height = this.canvas.width;
    }
    const { brush } = this;
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, side, side);
    const middle = side / 2;
    const breath = this.still.matches ? 0 : 0.012 * Math.sin(this.clock * 1.6);
    const radius = side * (0.29 + breath + 0.07 * this.level);

    const glow = brush.createRadialGradient(middle, middle, radius * 0.6, middle, middle, side / 2);
    glow.addColorStop(0, css(this.outer, 0.3 + 0.3 * this.level));
    glow.addColorStop(1, css(this.outer, 0));
    brush.fillStyle = glow;
    brush.fillRect(0, 0, side, side);

    const rest = state === "idle" || state === "stopped" || state === "muted" ? 0.012 : 0.028;
    const sway = this.still.matches ? 0 : rest + 0.085 * this.level;
    for (const layer of LAYERS) {
      const fill = brush.createLinearGradient(middle - radius, middle - radius, middle + radius, middle + radius);
      fill.addColorStop(0, css(this.inner, layer.alpha));
      fill.addColorStop(1, css(this.outer, layer.alpha));
      brush.fillStyle = fill;
      this.blob(middle, radius * layer.size, sway, layer);
    }
    if (state === "thinking" || state === "connecting") this.satellites(middle, radius);
  }

  /**
   * @param {number} middle
   * @param {number} radius
   * @param {number} sway
   * @param {{waves: number[], speed: number}} layer
   */
  blob(middle, radius, sway, layer) {
    const { brush } = this;
    const time = this.clock * layer.speed * 2;
    brush.beginPath();
    for (let step = 0; step <= 96; step++) {
      const angle = (step / 96) * 2 * Math.PI;
      const wave = layer.waves.reduce((sum, n, at) => sum + Math.sin(n * angle + time * (at + 1) + at * 2) / (at + 1), 0);
      const far = radius * (1 + sway * wave);
      brush.lineTo(middle + far * Math.cos(angle), middle + far * Math.sin(angle));
    }
    brush.closePath();
    brush.fill();
  }

  /**
   * Three small dots on their way around: something is under way.
   * @param {number} middle
   * @param {number} radius
   */
  satellites(middle, radius) {
    for (let dot = 0; dot < 3; dot++) {
      const angle = this.clock * 1.1 + dot * 0.5;
      this.brush.fillStyle = css(this.inner, 0.9 - dot * 0.25);
      this.brush.beginPath();
      this.brush.arc(middle + radius * 1.3 * Math.cos(angle), middle + radius * 1.3 * Math.sin(angle), 5 - dot, 0, 2 * Math.PI);
      this.brush.fill();
    }
  }
}

/**
 * @param {number} level RMS, 0..1
 * @returns {number} 0 at -55 dB and below, 1 at -15 dB and above
 */
function loudness(level) {
  return Math.max(0, Math.min(1, (20 * Math.log10(level + 1e-6) + 55) / 40));
}

/**
 * @param {string} hex such as "#12a594"
 * @returns {number[]}
 */
function rgb(hex) {
  const value = Number.parseInt(hex.trim().slice(1), 16) || 0;
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/**
 * @param {number[]} colour
 * @param {number} alpha
 */
function css(colour, alpha) {
  return `rgb(${colour.map(Math.round).join(" ")} / ${alpha})`;
}
