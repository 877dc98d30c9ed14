// @ts-check
/** When each moment of the microphone's sound was sent: the server speaks of it in milliseconds of sound. */
import { RATE } from "./pcm.js";

const KEPT = 3000; // chunks of 20 ms: a minute

export class Sent {
  constructor() {
    this.samples = 0;
    /** @type {{ms: number, at: number}[]} */
    this.moments = [];
  }

  /** A new conversation counts from zero. */
  reset() {
    this.samples = 0;
    this.moments = [];
  }

  /**
   * @param {number} samples
   * @param {number} at milliseconds since 1970
   */
  note(samples, at) {
    this.samples += samples;
    this.moments.push({ ms: (this.samples / RATE) * 1000, at });
    if (this.moments.length > KEPT) this.moments.splice(0, KEPT / 10);
  }

  /**
   * @param {number} ms of sound since the conversation began
   * @returns {number | null} milliseconds since 1970 at which that moment's chunk was sent
   */
  when(ms) {
    return this.moments.find((moment) => moment.ms >= ms - 0.5)?.at ?? null;
  }
}
