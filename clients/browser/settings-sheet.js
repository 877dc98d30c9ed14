// @ts-check
/** The sheet on which the person chooses: each control of it that has a name is the setting of that name. */
import { element } from "./element.js";

/** @typedef {import("./settings.js").Settings} Settings */

const LANGUAGES = "en de fr es it pt nl pl sv da fi cs uk ru tr ar hi ja ko zh".split(" ");

export class SettingsSheet {
  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
    this.dialog = element("settings", HTMLDialogElement);
    this.form = element("settings-form", HTMLFormElement);
    this.voices = element("voice", HTMLSelectElement);
    this.speed = element("speed-said", HTMLOutputElement);
    this.fillLanguages();
    this.offerVoices(settings.values.voice ? [settings.values.voice] : []);
    this.show();
    this.form.addEventListener("input", () => this.read());
    settings.addEventListener("change", () => this.show());
    const opener = element("open-settings", HTMLButtonElement);
    opener.addEventListener("click", () => this.dialog.showModal());
    element("close-settings", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
    // A press beside the sheet closes it: only the dialog's own margin is the target then.
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  fillLanguages() {
    const names = new Intl.DisplayNames(["en"], { type: "language" });
    const select = element("language", HTMLSelectElement);
    for (const code of LANGUAGES) select.append(new Option(names.of(code), code));
  }

  /**
   * @param {string[]} voices that the server has
   * @param {string} own the one that it takes by itself
   */
  offerVoices(voices, own = "") {
    const named = own ? `The server's own (${own})` : "The server's own";
    this.voices.replaceChildren(new Option(named, ""), ...voices.filter((voice) => voice !== own).map((voice) => new Option(voice, voice)));
    this.voices.value = this.settings.values.voice;
  }

  show() {
    for (const [key, value] of Object.entries(this.settings.values)) {
      const control = this.form.elements.namedItem(key);
      if (control instanceof RadioNodeList || control instanceof HTMLSelectElement || control instanceof HTMLInputElement) control.value = String(value);
    }
    this.speed.value = `${this.settings.values.speed.toFixed(2)} ×`;
  }

  read() {
    const chosen = new FormData(this.form);
    const text = (/** @type {string} */ key) => String(chosen.get(key) ?? "");
    this.settings.set("theme", /** @type {any} */ (text("theme")));
    this.settings.set("microphone", /** @type {any} */ (text("microphone")));
    this.settings.set("eagerness", /** @type {any} */ (text("eagerness")));
    this.settings.set("language", text("language"));
    this.settings.set("voice", text("voice"));
    this.settings.set("speed", Number(text("speed")));
  }
}

/**
 * @param {import("./settings.js").Values} values
 * @param {any} own the server's session as it began
 * @returns {{type: string} & Record<string, any>} the `session.update` that says so
 */
export function sessionUpdate(values, own) {
  const detection = own?.audio?.input?.turn_detection ?? { type: "semantic_vad" };
  const open = detection.type === "semantic_vad" ? { ...detection, eagerness: values.eagerness } : detection;
  const input = {
    transcription: { language: values.language || null },
    turn_detection: values.microphone === "push" ? null : open,
  };
  const output = { speed: values.speed, ...(values.voice ? { voice: values.voice } : {}) };
  return { type: "session.update", session: { type: "realtime", audio: { input, output } } };
}
