// @ts-check
/** The camera on the page: its picture, who sees it, and what Parley sees in it. Loaded when it is first wanted. */
import { Camera } from "./camera.js";
import { Overlay } from "./overlay.js";
import { Trouble } from "./sentences.js";
import { Shutter } from "./shutter.js";

/** @typedef {import("./conversation.js").Conversation} Conversation */
/** @typedef {import("./outbox.js").Message} Message */
/** @typedef {import("./settings.js").Settings} Settings */

const BLIND = "This Parley has no eyes: no picture is sent to it any more, and only you see your camera.";
const AWAY = "The camera is off: you asked Parley not to look.";
const BACK = "Parley may look again: press Camera to show it something.";
const UNPLUGGED = "The camera went away. Plug it in and press Camera again.";
const STYLES = "styles/sight.css";
const VIEW = `
  <div class="picture">
    <video id="camera-picture" muted autoplay playsinline aria-label="What your camera sees"></video>
    <div id="overlay" aria-hidden="true"></div>
  </div>
  <p class="on-air" role="status"><i></i><b>Camera on</b> <span></span></p>
  <div class="tools" role="group" aria-label="Camera">
    <button id="show-overlay" type="button" aria-label="What Parley sees"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4 8.5V6a2 2 0 0 1 2-2h2.5m7 0H18a2 2 0 0 1 2 2v2.5m0 7V18a2 2 0 0 1-2 2h-2.5m-7 0H6a2 2 0 0 1-2-2v-2.5M6.5 12q5.5-7 11 0q-5.5 7-11 0"/><circle cx="12" cy="12" r="1.6"/></svg></button>
    <button id="turn-camera" type="button" aria-label="Use the other camera"><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M4.5 11A7.6 7.6 0 0 1 18 7.3L20 9.5M20 5v4.5h-4.5M19.5 13A7.6 7.6 0 0 1 6 16.7L4 14.5M4 19v-4.5h4.5"/></svg></button>
  </div>
  <figcaption tabindex="0"><b>Parley believes it sees</b> <span id="seen"></span></figcaption>`;

export class Sight {
  /**
   * @param {HTMLElement} button that switches the camera
   * @param {Settings} settings
   * @param {Conversation} conversation
   */
  constructor(button, settings, conversation) {
    this.button = button;
    this.settings = settings;
    this.conversation = conversation;
    this.line = conversation.line;
    this.view = document.createElement("figure");
    this.view.id = "camera-view";
    this.view.hidden = true;
    this.view.innerHTML = VIEW;
    document.getElementById("stage")?.prepend(this.view);
    const part = (/** @type {string} */ which) => /** @type {HTMLElement} */ (this.view.querySelector(which));
    const video = /** @type {HTMLVideoElement} */ (part("video"));
    this.sign = part(".on-air span");
    this.shows = part("#show-overlay");
    this.turns = part("#turn-camera");
    this.camera = new Camera(video);
    this.shutter = new Shutter(video, this.line.port("camera"));
    this.overlay = new Overlay(part("#overlay"), part("#seen"));
    this.linked = false;
    /** The server has said that it takes no pictures. */
    this.blind = false;
    this.sending = false;
    /** What the server knows of the camera; null: nothing. @type {boolean | null} */
    this.told = null;
    /** The last that came. @type {import("./overlay.js").Scene | null} */
    this.scene = null;
    this.camera.addEventListener("change", () => this.show());
    this.camera.addEventListener("unplugged", () => conversation.trouble(UNPLUGGED));
    conversation.addEventListener("change", () => this.follow());
    conversation.addEventListener("sight", (event) => this.take(/** @type {CustomEvent} */ (event).detail));
    this.follow();
    video.addEventListener("resize", () => part(".picture").style.setProperty("--shape", `${video.videoWidth} / ${video.videoHeight}`));
    this.shows.addEventListener("click", () => {
      settings.set("overlay", !settings.values.overlay);
      this.show();
      this.draw();
    });
    document.addEventListener("visibilitychange", () => this.draw());
    this.turns.addEventListener("click", () => void this.trying(this.camera.turn()));
  }

  /** Switch the camera on or off. */
  async toggle() {
    if (this.camera.wanted) this.camera.stop();
    else await this.trying(this.camera.start());
  }

  /** @param {Promise<void>} opening */
  async trying(opening) {
    try {
      await opening;
    } catch (error) {
      if (!(error instanceof Trouble)) throw error;
      this.conversation.trouble(error.message);
    }
  }

  follow() {
    const { active, line, sees } = this.conversation;
    if (!active) this.camera.stop(); // what nobody sees needs no camera
    const linked = line.ready && sees;
    if (linked === this.linked) return;
    this.linked = linked;
    this.show();
  }

  /** @param {Message} event */
  take(event) {
    switch (event.type) {
      case "session.created": // its server knows nothing, and may have eyes now
        this.told = null;
        this.blind = false;
        break;
      case "error":
        if (!this.blind) this.conversation.trouble(BLIND);
        this.blind = true;
        break;
      case "parley.camera":
        if (event.on) {
          if (!this.camera.wanted) this.conversation.transcript.notice(BACK);
        } else if (this.camera.wanted) {
          this.camera.stop();
          this.conversation.transcript.notice(AWAY);
        }
        break;
      case "parley.scene":
        if (!this.sending) return;
        this.scene = /** @type {import("./overlay.js").Scene} */ (/** @type {unknown} */ (event));
        this.draw();
        return;
    }
    this.show();
  }

  /** Where it isn't looked at, it isn't drawn. */
  draw() {
    if (this.scene && this.settings.values.overlay && !document.hidden) this.overlay.draw(this.scene, this.camera.mirrored);
  }

  wipe() {
    this.scene = null;
    this.overlay.clear();
  }

  tell() {
    const { on } = this.camera;
    if (!this.linked || this.told === on || (!on && this.told === null)) return;
    this.told = on;
    this.line.send({ type: "parley.camera", on });
  }

  show() {
    const { on } = this.camera;
    const sending = on && this.linked && !this.blind;
    if (on) this.tell(); // before the first picture
    if (sending !== this.sending) {
      this.sending = sending;
      this.line.look(sending);
      if (sending) this.shutter.start();
      else this.shutter.stop();
      this.wipe();
    }
    if (!on) this.tell(); // after the last picture
    const { overlay } = this.settings.values;
    this.view.hidden = !on;
    this.view.classList.toggle("mirrored", this.camera.mirrored);
    this.view.classList.toggle("large", overlay && sending);
    this.view.classList.toggle("seen", sending);
    this.sign.textContent = sending ? "Parley sees this" : this.blind ? "Only you see this" : "Not seen by Parley now";
    this.shows.hidden = !sending;
    this.shows.setAttribute("aria-pressed", String(overlay));
    this.turns.hidden = this.camera.count < 2;
    this.button.setAttribute("aria-pressed", String(on));
  }
}

/**
 * @param {HTMLElement} button that switches the camera
 * @param {Settings} settings
 * @param {Conversation} conversation
 * @returns {Promise<Sight>} once its style sheet is there
 */
export async function openSight(button, settings, conversation) {
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = STYLES;
  await new Promise((done, fail) => {
    style.onload = done;
    style.onerror = fail;
    document.head.append(style);
  });
  return new Sight(button, settings, conversation);
}
