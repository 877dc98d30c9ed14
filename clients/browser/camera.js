// @ts-check
/** The camera as a device: opened, turned round where there are several, closed. */
import { Trouble, forbidden, insecure } from "./sentences.js";

const SIZE = { width: { ideal: 640 }, height: { ideal: 480 } };
/** @type {Record<string, string>} */
const OPPOSITE = { user: "environment", environment: "user" };

/** Events: "change", "unplugged". */
export class Camera extends EventTarget {
  /** @param {HTMLVideoElement} video that shows its picture */
  constructor(video) {
    super();
    this.video = video;
    /** @type {MediaStream | null} */
    this.stream = null;
    /** The person wants it: it is open, or being opened. */
    this.wanted = false;
    /** How many there are to choose from; known once one was open. */
    this.count = 0;
  }

  get on() {
    return this.stream !== null;
  }

  get track() {
    return this.stream?.getVideoTracks()[0];
  }

  /** It looks at the person, who expects a mirror. */
  get mirrored() {
    return this.track?.getSettings().facingMode !== "environment";
  }

  /** Throws Trouble. */
  async start() {
    if (!this.wanted) await this.open([{}]);
  }

  /** Use another camera: the other side's, or else the next. Throws Trouble; then there is none. */
  async turn() {
    if (!this.track) return;
    const { deviceId = "", facingMode = "" } = this.track.getSettings();
    const ids = (await cameras()).map((camera) => camera.deviceId);
    const next = ids[(ids.indexOf(deviceId) + 1) % ids.length];
    const other = OPPOSITE[facingMode];
    this.release(); // many phones open one at a time only
    await this.open([...(other ? [{ facingMode: { exact: other } }] : []), { deviceId: { exact: next } }]);
  }

  stop() {
    if (!this.wanted) return;
    this.wanted = false;
    this.release();
    this.dispatchEvent(new Event("change"));
  }

  release() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** @param {MediaTrackConstraints[]} choices the first that there is */
  async open(choices) {
    if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new Trouble(insecure("camera"));
    this.wanted = true;
    try {
      const stream = await firstOf(choices);
      if (!this.wanted) {
        for (const track of stream.getTracks()) track.stop(); // stopped while the browser asked
        return;
      }
      this.stream = stream;
      this.count = (await cameras()).length;
    } catch (error) {
      this.stop();
      throw new Trouble(refused(error instanceof DOMException ? error.name : ""), { cause: error });
    }
    if (!this.stream) return;
    this.track?.addEventListener("ended", () => {
      this.stop();
      this.dispatchEvent(new Event("unplugged"));
    });
    this.video.srcObject = this.stream;
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {MediaTrackConstraints[]} choices @returns {Promise<MediaStream>} */
async function firstOf([choice, ...others]) {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { ...SIZE, ...choice } });
  } catch (error) {
    if (others.length === 0) throw error;
    return firstOf(others);
  }
}

async function cameras() {
  return (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
}

/** @param {string} name of the browser's error */
function refused(name) {
  switch (name) {
    case "NotAllowedError":
    case "SecurityError":
      return `${forbidden("camera")}Camera again.`;
    case "NotFoundError":
    case "OverconstrainedError":
      return "No camera was found. Plug one in and press Camera again.";
    default:
      return "The camera can't be opened: another program may hold it. Close that one and press Camera again.";
  }
}
