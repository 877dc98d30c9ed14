// @ts-check
/**
 * Runs beside the page: plays the assistant's sound from a queue, can be silenced at once, and says how much of each
 * message was played.
 *
 * In:  {type: "sound", item, pcm} | {type: "end"} | {type: "flush"}
 * Out: {type: "audible", item, at} | {type: "progress", level, heard} | {type: "drained"}
 *      | {type: "flushed", item, playedS}
 */
import { Resampler } from "./resampler.js";

const RATE = 24000;
const JITTER_S = 0.06;
const FADE_S = 0.005;
const AUDIBLE = 0.003;
const PROGRESS_S = 0.03;

/** @typedef {{item: string, samples: Float32Array, at: number}} Piece */

class SpeakerWorklet extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(RATE, sampleRate);
    /** @type {Piece[]} */
    this.queue = [];
    this.queued = 0;
    this.ended = false;
    this.playing = false;
    /** @type {string | null} */
    this.item = null;
    this.played = 0;
    this.audible = false;
    this.heard = 0;
    this.power = 0;
    this.unreported = 0;
    this.fading = new Float32Array(0);
    this.port.onmessage = ({ data }) => this.take(data);
  }

  /** @param {{type: string, item?: string, pcm?: ArrayBuffer}} message */
  take(message) {
    if (message.type === "sound" && message.item !== undefined && message.pcm !== undefined) {
      const whole = new Int16Array(message.pcm);
      this.enqueue(message.item, this.resampler.feed(Float32Array.from(whole, (value) => value / 32768)));
      this.ended = false;
    } else if (message.type === "end") {
      this.finish();
    } else if (message.type === "flush") {
      this.flush();
    }
  }

  /**
   * @param {string} item
   * @param {Float32Array} samples
   */
  enqueue(item, samples) {
    if (samples.length === 0) return;
    this.queue.push({ item, samples, at: 0 });
    this.queued += samples.length;
  }

  /** The message is whole: play what the filter held back, and wait for no more. */
  finish() {
    const last = this.queue.at(-1)?.item ?? this.item;
    if (last !== null) this.enqueue(last, this.resampler.feed(new Float32Array(2 * this.resampler.half)));
    this.resampler.reset();
    this.ended = true;
  }

  flush() {
    const item = this.item ?? this.queue[0]?.item ?? null;
    this.port.postMessage({ type: "flushed", item, playedS: this.item === null ? 0 : this.played / sampleRate });
    const fading = new Float32Array(Math.round(FADE_S * sampleRate));
    const taken = this.playing ? this.fill(fading) : 0;
    for (let at = 0; at < fading.length; at++) fading[at] *= 1 - at / fading.length;
    this.fading = fading.subarray(0, taken);
    this.queue = [];
    this.queued = 0;
    this.resampler.reset();
    this.rest();
  }

  rest() {
    this.playing = false;
    this.ended = false;
    this.item = null;
    this.played = 0;
    this.audible = false;
  }

  /**
   * @param {Float32Array} out
   * @returns {number} how many samples there were
   */
  fill(out) {
    let filled = 0;
    while (filled < out.length && this.queue.length > 0) {
      const piece = this.queue[0];
      if (piece.item !== this.item) {
        this.item = piece.item;
        this.played = 0;
        this.audible = false;
      }
      const part = piece.samples.subarray(piece.at, piece.at + out.length - filled);
      out.set(part, filled);
      this.notice(part, filled);
      piece.at += part.length;
      filled += part.length;
      this.played += part.length;
      this.queued -= part.length;
      if (piece.at === piece.samples.length) this.queue.shift();
    }
    return filled;
  }

  /**
   * @param {Float32Array} part
   * @param {number} offset
   */
  notice(part, offset) {
    for (let at = 0; at < part.length; at++) {
      this.power += part[at] * part[at];
      if (Math.abs(part[at]) < AUDIBLE) continue;
      this.heard += 1;
      if (this.audible) continue;
      this.audible = true;
      this.port.postMessage({ type: "audible", item: this.item, at: currentTime + (offset + at) / sampleRate });
    }
  }

  /**
   * @param {Float32Array[][]} _
   * @param {Float32Array[][]} outputs
   */
  process(_, outputs) {
    const out = outputs[0][0];
    if (this.fading.length > 0) {
      const part = this.fading.subarray(0, out.length);
      out.set(part);
      this.fading = this.fading.subarray(part.length);
    } else {
      if (!this.playing && this.queued > 0 && (this.ended || this.queued >= JITTER_S * sampleRate)) this.playing = true;
      if (this.playing && this.fill(out) < out.length) this.starve();
    }
    for (const other of outputs[0].slice(1)) other.set(out);
    this.unreported += out.length;
    if (this.unreported >= PROGRESS_S * sampleRate) this.report();
    return true;
  }

  /** The queue ran dry: the message is over, or its next sound is late and the small buffer fills again. */
  starve() {
    this.playing = false;
    if (!this.ended) return;
    this.rest();
    this.port.postMessage({ type: "drained" });
  }

  report() {
    const level = Math.sqrt(this.power / this.unreported);
    this.power = 0;
    this.unreported = 0;
    this.port.postMessage({ type: "progress", level, heard: this.heard });
  }
}

registerProcessor("speaker", SpeakerWorklet);
