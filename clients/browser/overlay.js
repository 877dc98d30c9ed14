// @ts-check
/** What Parley believes it sees, drawn over the camera's picture and written below it. */

/** @typedef {[number, number, number, number]} Box left, top, right and bottom, in parts of the picture */
/**
 * @typedef {object} Scene a `parley.scene` event
 * @property {string} summary
 * @property {"black" | "dark" | "bright" | "normal"} light
 * @property {{label: string, box: Box, score: number, track: number}[]} things
 * @property {{box: Box, facing: boolean | null}[]} faces
 * @property {{text: string, box: Box}[] | null} text null where it wasn't looked for
 * @property {{kind: string, text: string, box: Box}[] | null} codes
 * @property {number | null} held the track of the thing in the hand
 * @property {string[]} gestures
 */
/** @typedef {{kind: "thing" | "face" | "text" | "code", box: Box, label: string}} Mark */

const NOTHING = "Nothing that it knows.";
/** @type {Record<string, string>} */
const DARKNESS = { black: "Only black: the lens may be covered.", dark: "It is too dark to see much." };

export class Overlay {
  /**
   * @param {HTMLElement} layer as large as the picture
   * @param {HTMLElement} words
   */
  constructor(layer, words) {
    this.layer = layer;
    this.words = words;
    /** @type {Map<string, HTMLElement>} */
    this.drawn = new Map();
  }

  clear() {
    this.drawn.clear();
    this.layer.replaceChildren();
    this.words.textContent = "Nothing yet.";
  }

  /**
   * @param {Scene} scene
   * @param {boolean} mirrored as the picture is
   */
  draw(scene, mirrored) {
    const marks = marksOf(scene);
    for (const [key, mark] of this.drawn) {
      if (marks.has(key)) continue;
      mark.remove();
      this.drawn.delete(key);
    }
    for (const [key, mark] of marks) {
      const drawn = this.drawn.get(key) ?? this.add(key);
      const { left, top, width, height } = placed(mark.box, mirrored);
      drawn.className = mark.kind;
      drawn.style.left = percent(left);
      drawn.style.top = percent(top);
      drawn.style.width = percent(width);
      drawn.style.height = percent(height);
      // Near the picture's edges the label keeps to the inside.
      drawn.classList.toggle("high", top < 0.1);
      drawn.classList.toggle("low", top + height > 0.88);
      drawn.classList.toggle("late", left > 0.5);
      const label = /** @type {HTMLElement} */ (drawn.firstElementChild);
      if (label.textContent !== mark.label) label.textContent = mark.label;
    }
    const words = scene.summary || (DARKNESS[scene.light] ?? NOTHING);
    if (this.words.textContent !== words) this.words.textContent = words;
  }

  /** @param {string} key @returns {HTMLElement} */
  add(key) {
    const mark = document.createElement("div");
    mark.append(document.createElement("span"));
    this.layer.append(mark);
    this.drawn.set(key, mark);
    return mark;
  }
}

/**
 * @param {Scene} scene
 * @returns {Map<string, Mark>} what has the same key is the same, from one scene to the next
 */
function marksOf({ things, faces, text, codes, held }) {
  /** @type {Map<string, Mark>} */
  const marks = new Map();
  for (const { label, box, track } of things) {
    marks.set(`thing ${track}`, { kind: "thing", box, label: track === held ? `${label}, held up` : label });
  }
  faces.forEach(({ box, facing }, at) => {
    marks.set(`face ${at}`, { kind: "face", box, label: facing === null ? "face" : facing ? "facing you" : "looking away" });
  });
  text?.forEach(({ text: read, box }, at) => marks.set(`text ${at}`, { kind: "text", box, label: read }));
  codes?.forEach(({ kind, text: read, box }, at) => marks.set(`code ${at}`, { kind: "code", box, label: `${kind.toUpperCase()}: ${read}` }));
  return marks;
}

/**
 * @param {Box} box
 * @param {boolean} mirrored
 */
function placed([left, top, right, bottom], mirrored) {
  const from = Math.max(0, Math.min(1, mirrored ? 1 - right : left));
  const to = Math.max(0, Math.min(1, mirrored ? 1 - left : right));
  const high = Math.max(0, Math.min(1, top));
  return { left: from, top: high, width: to - from, height: Math.min(1, bottom) - high };
}

/** @param {number} part */
const percent = (part) => `${(100 * part).toFixed(2)}%`;
