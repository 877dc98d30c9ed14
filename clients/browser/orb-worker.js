// @ts-check
/**
 * Paints the orb beside the page: it says at a glance who has the floor. Its rings come in with sound that comes in, and
 * go out with sound that goes out.
 *
 * In, from the page: {canvas} once, then Look. In, from the worklets: {from, level}.
 */

/** @typedef {import("./floor.js").State} State */
/** @typedef {{state: State, side: number, scale: number, inner: string, outer: string, still: boolean, hidden: boolean}} Look */
/** @typedef {{age: number, level: number, inward: boolean}} Ring */

const FRAME_S = 1 / 30;
const REST_S = 1 / 8;
const RING_S = 1.5;
const RINGS_APART_S = 0.24;
const WAVES = [
  { n: 2, speed: 0.9, size: 1 },
  { n: 3, speed: -1.3, size: 0.6 },
  { n: 5, speed: 2.1, size: 0.28 },
];
const LIGHTS = [
  { far: 0.42, speed: 0.5, from: 0.4, size: 0.85, alpha: 0.5 },
  { far: 0.5, speed: -0.37, from: 2.6, size: 0.7, alpha: 0.36 },
  { far: 0.3, speed: 0.81, from: 4.4, size: 0.6, alpha: 0.3 },
];
const MOVING = new Set(["connecting", "thinking"]);
const QUIET = new Set(["idle", "muted", "stopped", "waiting"]);

class Orb {
  /** @param {OffscreenCanvas} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    const brush = canvas.getContext("2d");
    if (!brush) throw new Error("This browser has no canvas.");
    this.brush = brush;
    /** @type {Look | null} */
    this.look = null;
    this.levels = { microphone: 0, speaker: 0 };
    this.level = 0;
    this.clock = 0;
    this.last = 0;
    this.due = false;
    /** @type {number[]} */
    this.inner = [];
    /** @type {number[]} */
    this.outer = [];
    /** @type {Ring[]} */
    this.rings = [];
    this.sinceRing = 0;
  }

  /** @param {Look} look */
  show(look) {
    this.look = look;
    this.wake();
  }

  /** @param {{from: "microphone" | "speaker", level: number}} message */
  hear({ from, level }) {
    this.levels[from] = level;
    this.wake();
  }

  /** Something changed: paint now, and not only when the next slow breath is due. */
  wake() {
    if (this.due || !this.look || this.look.hidden) return;
    this.due = true;
    requestAnimationFrame((now) => this.frame(now));
  }

  /** @param {number} now */
  frame(now) {
    this.due = false;
    const { look } = this;
    if (!look || look.hidden) return;
    const passed = (now - this.last) / 1000;
    if (passed < FRAME_S * 0.9) {
      this.wake();
      return;
    }
    this.last = now;
    const alive = this.advance(look, Math.min(REST_S, passed));
    this.paint(look);
    if (alive) this.wake();
    else if (!look.still) setTimeout(() => this.wake(), REST_S * 1000);
  }

  /**
   * @param {Look} look
   * @param {number} passed seconds
   * @returns {boolean} whether anything moves faster than a breath
   */
  advance(look, passed) {
    const { state, still } = look;
    const target = state === "speaking" ? loudness(this.levels.speaker) : state === "hearing" || state === "listening" ? loudness(this.levels.microphone) : 0;
    this.level += (target - this.level) * Math.min(1, passed * (target > this.level ? 22 : 7));
    if (this.level < 0.01 && target === 0) this.level = 0;
    if (!still) this.clock += passed * (state === "thinking" ? 1.6 : 0.7 + this.level);
    const part = this.inner.length === 0 || still ? 1 : Math.min(1, passed * 7);
    const turning = this.tint("inner", rgb(look.inner), part) + this.tint("outer", rgb(look.outer), part);
    if (!still) this.ripple(state, passed);
    return this.level > 0 || target > 0 || this.rings.length > 0 || turning > 6 || (!still && MOVING.has(state));
  }

  /**
   * @param {"inner" | "outer"} which
   * @param {number[]} to
   * @param {number} part
   * @returns {number} how far the colour still has to go
   */
  tint(which, to, part) {
    const from = this[which];
    this[which] = to.map((value, at) => (from[at] ?? value) + (value - (from[at] ?? value)) * part);
    return to.reduce((sum, value, at) => sum + Math.abs(value - this[which][at]), 0);
  }

  /**
   * @param {State} state
   * @param {number} passed
   */
  ripple(state, passed) {
    for (const ring of this.rings) ring.age += passed;
    this.rings = this.rings.filter((ring) => ring.age < RING_S);
    this.sinceRing += passed;
    if (this.level < 0.1 || this.sinceRing < RINGS_APART_S) return;
    this.sinceRing = 0;
    this.rings.push({ age: 0, level: this.level, inward: state !== "speaking" });
  }

  /** @param {Look} look */
  paint({ state, side, scale, still }) {
    const size = Math.round(side * scale);
    if (this.canvas.width !== size || this.canvas.height !== size) {
      this.canvas.width = size;
      this.canvas.height = size;
    }
    const { brush } = this;
    brush.setTransform(scale, 0, 0, scale, size / 2, size / 2);
    brush.clearRect(-side / 2, -side / 2, side, side);
    const breath = still ? 0 : 0.01 * Math.sin(this.clock * 1.7);
    const radius = side * (0.27 + breath + 0.035 * this.level);
    this.halo(side, radius);
    this.paintRings(side, radius);
    this.body(state, radius, still);
    if (MOVING.has(state)) this.comet(radius, still);
  }

  /**
   * @param {number} side
   * @param {number} radius
   */
  halo(side, radius) {
    const glow = this.brush.createRadialGradient(0, 0, radius * 0.7, 0, 0, side / 2);
    glow.addColorStop(0, css(this.outer, 0.3 + 0.25 * this.level));
    glow.addColorStop(0.55, css(this.outer, 0.07 + 0.08 * this.level));
    glow.addColorStop(1, css(this.outer, 0));
    this.brush.fillStyle = glow;
    this.brush.fillRect(-side / 2, -side / 2, side, side);
  }

  /**
   * @param {number} side
   * @param {number} radius
   */
  paintRings(side, radius) {
    const { brush } = this;
    const reach = side * 0.485 - radius;
    brush.lineWidth = 2;
    for (const ring of this.rings) {
      const part = ring.age / RING_S;
      const way = ring.inward ? 1 - part : part;
      const seen = (ring.inward ? Math.min(1, part * 3) * (1 - part) : 1 - part) * Math.min(1, ring.level * 1.4);
      brush.strokeStyle = css(this.outer, 0.6 * seen);
      brush.beginPath();
      brush.arc(0, 0, radius + reach * way, 0, 2 * Math.PI);
      brush.stroke();
    }
  }

  /**
   * @param {State} state
   * @param {number} radius
   * @param {boolean} still
   */
  body(state, radius, still) {
    const { brush } = this;
    this.outline(radius, still ? 0 : (QUIET.has(state) ? 0.006 : 0.012) + 0.028 * this.level);
    const fill = brush.createLinearGradient(-radius, -radius, radius, radius);
    fill.addColorStop(0, css(this.inner, 1));
    fill.addColorStop(1, css(this.outer, 1));
    brush.fillStyle = fill;
    brush.fill();
    brush.globalCompositeOperation = "soft-light";
    for (const light of LIGHTS) {
      const angle = light.from + this.clock * light.speed;
      const x = radius * light.far * Math.cos(angle);
      const y = radius * light.far * Math.sin(angle);
      const shine = brush.createRadialGradient(x, y, 0, x, y, radius * light.size);
      shine.addColorStop(0, `rgb(255 255 255 / ${light.alpha + 0.3 * this.level})`);
      shine.addColorStop(1, "rgb(255 255 255 / 0)");
      brush.fillStyle = shine;
      brush.fill();
    }
    brush.globalCompositeOperation = "source-over";
    const shade = brush.createRadialGradient(-radius * 0.3, -radius * 0.4, radius * 0.3, 0, 0, radius * 1.15);
    shade.addColorStop(0, "rgb(255 255 255 / 0.16)");
    shade.addColorStop(0.55, "rgb(255 255 255 / 0)");
    shade.addColorStop(1, css(this.outer.map((value) => value * 0.45), 0.35));
    brush.fillStyle = shade;
    brush.fill();
  }

  /**
   * @param {number} radius
   * @param {number} sway
   */
  outline(radius, sway) {
    const { brush } = this;
    brush.beginPath();
    for (let step = 0; step < 72; step++) {
      const angle = (step / 72) * 2 * Math.PI;
      const wave = WAVES.reduce((sum, { n, speed, size }) => sum + size * Math.sin(n * angle + this.clock * speed), 0);
      const far = radius * (1 + sway * wave);
      brush.lineTo(far * Math.cos(angle), far * Math.sin(angle));
    }
    brush.closePath();
  }

  /**
   * Something is under way: a light goes round.
   * @param {number} radius
   * @param {boolean} still
   */
  comet(radius, still) {
    const { brush } = this;
    const head = still ? -Math.PI / 2 : this.clock * 2.1;
    brush.lineWidth = 3;
    for (let step = 0; step < 22; step++) {
      brush.strokeStyle = css(this.outer, 0.9 * (1 - step / 22) ** 1.6);
      brush.beginPath();
      brush.arc(0, 0, radius * 1.2, head - (step + 1) * 0.075, head - step * 0.075);
      brush.stroke();
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
 * @param {string} colour as style sheets compute it, such as "rgb(18, 165, 148)"
 * @returns {number[]}
 */
function rgb(colour) {
  return (colour.match(/[\d.]+/g) ?? [0, 0, 0]).slice(0, 3).map(Number);
}

/**
 * @param {number[]} colour
 * @param {number} alpha
 */
function css(colour, alpha) {
  return `rgb(${colour.map(Math.round).join(" ")} / ${alpha.toFixed(3)})`;
}

/** @type {Orb | null} */
let orb = null;
self.onmessage = ({ data }) => {
  if (data.canvas) orb = new Orb(data.canvas);
  else if (data.port) data.port.onmessage = (/** @type {MessageEvent} */ event) => orb?.hear(event.data);
  else orb?.show(data);
};
