// @ts-check
/**
 * Runs beside the page: plays the assistant's sound from a queue, can be silenced at once, and says how much of each
 * message was played.
 *
 * In, from `line`: {type: "sound", item, pcm} | {type: "end"} | {type: "flush"}
 * In, from the page: {type: "ports", line, level} | {type: "latency", seconds}
 * Out, to `line`: {type: "played", item, ms} | {type: "flushed", item, ms}
 * Out, to the page: {type: "audible", item, at} | {type: "progress", heard} | {type: "drained"}
 * Out, to `level` (the orb): {from: "speaker", level}
 */
import { Jitter } from "./jitter.js";
import { Resampler } from "./resampler.js";

const RATE = 24000;
const FADE_S = 0.005;
const AUDIBLE = 0.003;
const LEVEL_S = 0.03;
const PROGRESS_S = 0.09;
const PLAYED_S = 0.24;

/** @typedef {{item: string, samples: Float32Array, at: number}} Piece */

class SpeakerWorklet extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(RATE, sampleRate);
    this.jitter = new Jitter();
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
    this.latencyS = 0;
    this.since = { level: 0, progress: 0, played: 0 };
    this.fading = new Float32Array(0);
    /** @type {MessagePort | null} */
    this.line = null;
    /** @type {MessagePort | null} */
    this.level = null;
    this.port.onmessage = ({ data }) => this.obey(data);
  }

  /** @param {{type: "ports", line: MessagePort, level: MessagePort} | {type: "latency", seconds: number}} message */
  obey(message) {
    if (message.type === "latency") {
      this.latencyS = message.seconds;
      return;
    }
    this.line = message.line;
    this.level = message.level;
    this.line.onmessage = ({ data }) => this.take(data);
  }

  /** @param {{type: "sound", item: string, pcm: ArrayBuffer} | {type: "end"} | {type: "flush"}} message */
  take(message) {
    switch (message.type) {
      case "sound": {
        const whole = new Int16Array(message.pcm);
        this.enqueue(message.item, this.resampler.feed(Float32Array.from(whole, (value) => value / 32768)));
        this.ended = false;
        break;
      }
      case "end":
        this.finish();
        break;
      case "flush":
        this.flush();
        break;
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
    this.line?.postMessage({ type: "flushed", item: this.item ?? this.queue[0]?.item ?? null, ms: this.playedMs() });
    const fading = new Float32Array(Math.round(FADE_S * sampleRate));
    const taken = this.playing ? this.fill(fading) : 0;
    for (let at = 0; at < fading.length; at++) fading[at] *= 1 - at / fading.length;
    this.fading = fading.subarray(0, taken);
    this.queue = [];
    this.queued = 0;
    this.resampler.reset();
    this.rest();
    this.port.postMessage({ type: "drained" });
  }

  /** @returns {number} of this message, as far as it reached the ear */
  playedMs() {
    return this.item === null ? 0 : Math.max(0, Math.round((this.played / sampleRate - this.latencyS) * 1000));
  }

  rest() {
    this.playing = false;
    this.ended = false;
    this.item = null;
    this.played = 0;
    this.audible = false;
    this.power = 0;
    this.level?.postMessage({ from: "speaker", level: 0 });
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
      if (!this.playing && this.queued > 0 && (this.ended || this.queued >= this.jitter.targetS * sampleRate)) this.playing = true;
      if (this.playing) this.play(out);
    }
    for (const other of outputs[0].slice(1)) other.set(out);
    return true;
  }

  /** @param {Float32Array} out */
  play(out) {
    const filled = this.fill(out);
    this.jitter.played(filled / sampleRate);
    this.report(out.length);
    if (filled === out.length) return;
    // The queue ran dry: the message is over, or its next sound is late and the buffer fills again.
    this.playing = false;
    if (!this.ended) {
      this.jitter.late();
      return;
    }
    this.port.postMessage({ type: "progress", heard: this.heard });
    this.line?.postMessage({ type: "played", item: this.item, ms: Math.round((this.played / sampleRate) * 1000) });
    this.rest();
    this.port.postMessage({ type: "drained" });
  }

  /** @param {number} samples */
  report(samples) {
    const { since } = this;
    since.level += samples;
    since.progress += samples;
    since.played += samples;
    if (since.level >= LEVEL_S * sampleRate) {
      this.level?.postMessage({ from: "speaker", level: Math.sqrt(this.power / since.level) });
      this.power = 0;
      since.level = 0;
    }
    if (since.progress >= PROGRESS_S * sampleRate) {
      this.port.postMessage({ type: "progress", heard: this.heard });
      since.progress = 0;
    }
    if (since.played >= PLAYED_S * sampleRate) {
      this.line?.postMessage({ type: "played", item: this.item, ms: this.playedMs() });
      since.played = 0;
    }
  }
}

registerProcessor("speaker", SpeakerWorklet);
