// @ts-check
/**
 * Runs beside the page: takes the microphone's sound, brings it to 24 kHz PCM16 and posts it every 20 ms.
 *
 * In (from the page): {type: "ports", sound, level} | {type: "gate", open}
 * Out, to `sound` (the line): ArrayBuffer | "released"; to `level` (the orb): {from: "microphone", level}
 */
import { Resampler } from "./resampler.js";

const RATE = 24000;
const CHUNK = RATE / 50;

class MicrophoneWorklet extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.power = 0;
    this.silent = true;
    this.open = false;
    /** @type {MessagePort | null} */
    this.sound = null;
    /** @type {MessagePort | null} */
    this.level = null;
    this.port.onmessage = ({ data }) => this.take(data);
  }

  /** @param {{type: "ports", sound: MessagePort, level: MessagePort} | {type: "gate", open: boolean}} message */
  take(message) {
    if (message.type === "ports") {
      this.sound = message.sound;
      this.level = message.level;
    } else if (this.open && !message.open) {
      this.post(this.chunk.slice(0, this.filled));
      this.sound?.postMessage("released");
      this.open = false;
    } else {
      this.open = message.open;
    }
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const channels = inputs[0] ?? [];
    if (channels.length === 0) return true;
    let mono = channels[0];
    if (channels.length > 1) mono = mono.map((_, at) => channels.reduce((sum, one) => sum + one[at], 0) / channels.length);
    for (const sample of this.resampler.feed(mono)) {
      this.power += sample * sample;
      this.chunk[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
      if (this.filled === CHUNK) this.post(this.chunk);
    }
    return true;
  }

  /** @param {Int16Array<ArrayBuffer>} chunk */
  post(chunk) {
    const level = this.open && this.filled > 0 ? Math.sqrt(this.power / this.filled) : 0;
    // Silence is told once: nobody needs to wake up for it fifty times a second.
    const silent = level < 0.002;
    if (!silent || !this.silent) this.level?.postMessage({ from: "microphone", level });
    this.silent = silent;
    if (this.open && chunk.length > 0) this.sound?.postMessage(chunk.buffer, [chunk.buffer]);
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.power = 0;
  }
}

registerProcessor("microphone", MicrophoneWorklet);
