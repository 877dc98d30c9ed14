// @ts-check
/** Changes the sample rate of a stream of sound, chunk by chunk, with a windowed-sinc filter. */

const PHASES = 512;
const LOBES = 16;

export class Resampler {
  /**
   * @param {number} from samples a second that come in
   * @param {number} to samples a second that go out
   */
  constructor(from, to) {
    this.step = from / to;
    this.same = from === to;
    const narrow = Math.min(1, to / from);
    this.half = Math.ceil(LOBES / narrow);
    this.filter = this.same ? new Float32Array(0) : design(this.half, 0.94 * narrow);
    this.past = new Float32Array(this.half);
    this.at = this.half;
  }

  /** Forget what came before: a new stream begins. */
  reset() {
    this.past = new Float32Array(this.half);
    this.at = this.half;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array} what is ready; the filter holds back LOBES samples of the lower rate
   */
  feed(samples) {
    if (this.same) return samples.slice();
    const line = new Float32Array(this.past.length + samples.length);
    line.set(this.past);
    line.set(samples, this.past.length);
    const taps = 2 * this.half;
    const out = new Float32Array(Math.max(0, Math.ceil((line.length - this.half - this.at) / this.step)));
    let count = 0;
    while (Math.floor(this.at) + this.half < line.length && count < out.length) {
      const whole = Math.floor(this.at);
      const row = Math.round((this.at - whole) * PHASES) * taps;
      const first = whole - this.half + 1;
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += line[first + tap] * this.filter[row + tap];
      out[count++] = sum;
      this.at += this.step;
    }
    const keep = Math.min(line.length, Math.max(0, Math.floor(this.at) - this.half));
    this.past = line.slice(keep);
    this.at -= keep;
    return out.subarray(0, count);
  }
}

/**
 * @param {number} half taps on each side
 * @param {number} cutoff as a part of the incoming Nyquist frequency
 * @returns {Float32Array} PHASES + 1 rows of 2 * half taps, each summing to 1
 */
function design(half, cutoff) {
  const taps = 2 * half;
  const rows = new Float32Array((PHASES + 1) * taps);
  for (let phase = 0; phase <= PHASES; phase++) {
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const x = tap - half + 1 - phase / PHASES;
      const sinc = x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x);
      const window = Math.abs(x) >= half ? 0 : 0.42 + 0.5 * Math.cos((Math.PI * x) / half) + 0.08 * Math.cos((2 * Math.PI * x) / half);
      rows[phase * taps + tap] = sinc * window;
      sum += sinc * window;
    }
    for (let tap = 0; tap < taps; tap++) rows[phase * taps + tap] /= sum;
  }
  return rows;
}
