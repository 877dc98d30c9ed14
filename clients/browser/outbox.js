// @ts-check
/** What was sent, counted as the server counts it, so that what a broken connection lost can be sent again. */

const KEPT = 200;

/** @typedef {{type: string} & Record<string, any>} Message one event of the OpenAI Realtime protocol */

export class Outbox {
  constructor() {
    this.count = 0;
    /** Oldest first, without sound: stale sound is worth nothing. @type {{n: number, message: Message}[]} */
    this.kept = [];
  }

  /** A new session counts from zero. */
  reset() {
    this.count = 0;
    this.kept = [];
  }

  /** A chunk of sound went out. */
  sound() {
    this.count += 1;
  }

  /** @param {Message} message that goes out, or would have */
  note(message) {
    this.count += 1;
    this.kept.push({ n: this.count, message });
    if (this.kept.length > KEPT) this.kept.shift();
  }

  /**
   * The server has taken so many messages: go on counting from there.
   * @param {number} taken
   * @returns {Message[]} those that it lacks, to be sent again
   */
  resume(taken) {
    const missing = this.kept.filter(({ n }) => n > taken).map(({ message }) => message);
    this.reset();
    this.count = taken;
    return missing;
  }
}
