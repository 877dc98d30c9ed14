// @ts-check
/** What the person chose, kept in this browser; a value that makes no sense gives way to the default. */

const KEY = "parley.settings";
const SPEEDS = { least: 0.75, most: 1.5 };

/**
 * @typedef {object} Values
 * @property {"system" | "light" | "dark"} theme
 * @property {"open" | "push"} microphone open: it listens all the time; push: only while a key or the button is held
 * @property {string} language ISO 639-1 of what is spoken to Parley; "" for what the server does by itself
 * @property {string} voice one of the server's; "" for its own
 * @property {number} speed of the voice, 0.75 to 1.5
 * @property {"high" | "auto" | "low"} eagerness how soon a pause counts as the end of what is said
 * @property {boolean} account whether the account of the last turn is open
 * @property {boolean} overlay whether what Parley sees is drawn over the camera's picture
 */

/** @type {Values} */
const DEFAULTS = { theme: "system", microphone: "open", language: "", voice: "", speed: 1, eagerness: "auto", account: true, overlay: false };

/** @type {{[Key in keyof Values]: (value: unknown) => boolean}} */
const MAKES_SENSE = {
  theme: (value) => value === "system" || value === "light" || value === "dark",
  microphone: (value) => value === "open" || value === "push",
  language: (value) => typeof value === "string" && /^([a-z]{2,3})?$/.test(value),
  voice: (value) => typeof value === "string" && value.length <= 100,
  speed: (value) => typeof value === "number" && value >= SPEEDS.least && value <= SPEEDS.most,
  eagerness: (value) => value === "high" || value === "auto" || value === "low",
  account: (value) => typeof value === "boolean",
  overlay: (value) => typeof value === "boolean",
};

/** Event: "change" (detail: the key). */
export class Settings extends EventTarget {
  constructor() {
    super();
    /** @type {Values} */
    this.values = { ...DEFAULTS, ...stored() };
  }

  /**
   * @template {keyof Values} Key
   * @param {Key} key
   * @param {Values[Key]} value
   */
  set(key, value) {
    if (this.values[key] === value || !MAKES_SENSE[key](value)) return;
    this.values = { ...this.values, [key]: value };
    try {
      localStorage.setItem(KEY, JSON.stringify(this.values));
    } catch {
      // A browser that keeps nothing: the choice holds until the page is closed.
    }
    this.dispatchEvent(new CustomEvent("change", { detail: key }));
  }
}

/** @returns {Partial<Values>} */
function stored() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return Object.fromEntries(Object.entries(MAKES_SENSE).filter(([key, fits]) => fits(found[key])).map(([key]) => [key, found[key]]));
  } catch {
    return {};
  }
}
