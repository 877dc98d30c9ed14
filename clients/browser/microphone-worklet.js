// @ts-check
/** Runs beside the page: takes the microphone's sound, brings it to 24 kHz PCM16 and posts it every 20 ms. */
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
      if (this.filled === CHUNK) this.post();
    }
    return true;
  }

  post() {
    const pcm = this.chunk.buffer;
    this.port.postMessage({ pcm, level: Math.sqrt(this.power / CHUNK) }, [pcm]);
    this.chunk = new Int16Array(CHUNK);
    this.filled = 0;
    this.power = 0;
  }
}

registerProcessor("microphone", MicrophoneWorklet);
