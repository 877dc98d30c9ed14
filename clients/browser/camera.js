// @ts-check
/** The camera's picture, shown on this page and nowhere else. */
import { CAMERA, Trouble } from "./sentences.js";

/** Event: "change". */
export class Camera extends EventTarget {
  /** @param {HTMLVideoElement} video */
  constructor(video) {
    super();
    this.video = video;
    /** @type {MediaStream | null} */
    this.stream = null;
    this.asking = false;
  }

  get on() {
    return this.stream !== null;
  }

  /** Throws Trouble. */
  async start() {
    if (this.asking || this.stream) return;
    if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new Trouble(CAMERA.insecure());
    this.asking = true;
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } } });
    } catch (error) {
      throw new Trouble(CAMERA.refused(error instanceof DOMException ? error.name : ""), { cause: error });
    } finally {
      this.asking = false;
    }
    for (const track of this.stream.getTracks()) track.addEventListener("ended", () => this.stop());
    this.video.srcObject = this.stream;
    this.dispatchEvent(new Event("change"));
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
    this.dispatchEvent(new Event("change"));
  }
}
