// @ts-check
/** The sound of the page: one audio context with the loudspeaker on it, and the microphone while it is wanted. */
import { Microphone, askForMicrophone } from "./microphone.js";
import { Speaker } from "./speaker.js";

/** @typedef {import("./line.js").Line} Line */
/** @typedef {import("./orb.js").Orb} Orb */

/** Events: those of the Speaker, and "unplugged". */
export class Voice extends EventTarget {
  /**
   * @param {Line} line
   * @param {Orb} orb
   */
  constructor(line, orb) {
    super();
    this.line = line;
    this.orb = orb;
    /** Laid now, and plugged in when there is a loudspeaker: sound that comes before that waits in it. */
    this.speech = line.port("speaker");
    /** @type {Promise<AudioContext> | null} */
    this.opening = null;
    /** @type {Microphone | null} */
    this.microphone = null;
    /** @type {Speaker | null} */
    this.speaker = null;
    /** The browser asks the person for the microphone. */
    this.asking = false;
  }

  /** @returns {Promise<AudioContext>} one that runs, with the speaker on it; the person must have pressed something */
  async open() {
    this.opening ??= this.build();
    const context = await this.opening;
    await context.resume();
    return context;
  }

  async build() {
    const context = new AudioContext({ latencyHint: "interactive" });
    await Promise.all(["microphone-worklet.js", "speaker-worklet.js"].map((file) => context.audioWorklet.addModule(file)));
    const speaker = new Speaker(context, this.speech, this.orb.port());
    this.speaker = speaker;
    speaker.addEventListener("audible", (event) => this.dispatchEvent(new CustomEvent("audible", event)));
    for (const kind of ["progress", "drained"]) speaker.addEventListener(kind, () => this.dispatchEvent(new Event(kind)));
    return context;
  }

  /**
   * @param {() => boolean} wanted whether the person still wants it once it is there
   * @returns {Promise<void>} Throws Trouble when there is no microphone.
   */
  async listen(wanted) {
    if (this.asking || this.microphone) return;
    this.asking = true;
    try {
      // Both at once: what takes time here is what the person waits for.
      const [stream, context] = await Promise.all([askForMicrophone(), this.open()]);
      if (!wanted()) {
        for (const track of stream.getTracks()) track.stop();
        return;
      }
      this.microphone = new Microphone(context, stream, this.line.port("microphone"), this.orb.port());
      this.microphone.addEventListener("unplugged", () => {
        this.hangUp();
        this.dispatchEvent(new Event("unplugged"));
      });
    } finally {
      this.asking = false;
    }
  }

  hangUp() {
    this.microphone?.close();
    this.microphone = null;
  }

  /** Nothing is to be heard or said any more: let the device rest. */
  rest() {
    this.hangUp();
    void this.opening?.then((context) => context.suspend());
  }
}
