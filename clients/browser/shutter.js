// @ts-check
/** Takes the camera's pictures and hands them to shutter-worker.js, which sends those that are worth it. */

const HIDDEN_MS = 1000;
const NOT_YET_MS = 100;

const now = () => performance.timeOrigin + performance.now();

/** @param {HTMLVideoElement} video @returns {Promise<VideoFrame | ImageBitmap | null>} */
async function pictureOf(video) {
  try {
    // The video's own frame costs nothing; a copy of it, ten times as much.
    return "VideoFrame" in window ? new VideoFrame(video, { timestamp: 0 }) : await createImageBitmap(video);
  } catch {
    return null;
  }
}

export class Shutter {
  /**
   * @param {HTMLVideoElement} video
   * @param {MessagePort} line where pictures go out
   */
  constructor(video, line) {
    this.video = video;
    this.open = false;
    this.takenAt = 0;
    /** A picture is with the worker, which says when it wants the next: so there is never more than one. */
    this.busy = false;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.worker = new Worker(new URL("shutter-worker.js", import.meta.url), { type: "module" });
    this.worker.postMessage({ line }, [line]);
    this.worker.onmessage = ({ data }) => this.after(this.takenAt + data.gapMs - now());
  }

  start() {
    if (this.open) return;
    this.open = true;
    if (!this.busy) void this.take();
  }

  stop() {
    this.open = false;
    clearTimeout(this.timer);
  }

  /** @param {number} ms */
  after(ms) {
    this.busy = false;
    if (this.open) this.timer = setTimeout(() => void this.take(), Math.max(ms, document.hidden ? HIDDEN_MS : 0));
  }

  async take() {
    this.busy = true;
    const { video } = this;
    const stream = video.srcObject instanceof MediaStream ? video.srcObject : null;
    // A phone takes the camera away from a page that isn't seen, and would go on showing its last picture.
    const seeing = video.readyState >= video.HAVE_CURRENT_DATA && stream?.getVideoTracks().some((track) => !track.muted);
    const takenAt = (this.takenAt = now());
    const picture = seeing ? await pictureOf(video) : null;
    if (picture && this.open) this.worker.postMessage({ picture, takenAt }, [picture]);
    else {
      picture?.close();
      this.after(NOT_YET_MS);
    }
  }
}
