// @ts-check
/**
 * How much sound waits before it is played: little while it comes evenly, more when it has come late.
 * Counted in seconds of sound, so that it needs no clock.
 */

const LEAST_S = 0.04;
const FIRST_S = 0.06;
const MOST_S = 0.4;
const CALM_S = 10;

export class Jitter {
  constructor() {
    /** Seconds of sound that must be there before playing begins. */
    this.targetS = FIRST_S;
    this.calmS = 0;
  }

  /** The sound ran out in the middle of a message. */
  late() {
    this.targetS = Math.min(MOST_S, this.targetS * 1.6);
    this.calmS = 0;
  }

  /** @param {number} seconds that were played without a gap */
  played(seconds) {
    this.calmS += seconds;
    if (this.calmS < CALM_S) return;
    this.calmS = 0;
    this.targetS = Math.max(LEAST_S, this.targetS * 0.8);
  }
}
