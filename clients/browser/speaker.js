// @ts-check
/** The loudspeaker: a queue of the assistant's sound that can be silenced at once. */
import { fromBase64 } from "./pcm.js";

/** @typedef {{item: string, playedS: number}} Cut what was being played when it was silenced */

export class Speaker extends EventTarget {
  /** @param {AudioContext} context with the module speaker-worklet.js loaded */
  constructor(context) {
    super();
    this.context = context;
    this.node = new AudioWorkletNode(context, "speaker", { numberOfInputs: 0, outputChannelCount: [2] });
    this.node.connect(context.destination);
    this.node.port.onmessage = ({ data }) => this.take(data);
    /** Whether there is sound that was not yet played. */
    this.busy = false;
    /** Samples played that were not silent. */
    this.heard = 0;
    this.level = 0;
    /** @type {((cut: Cut | null) => void)[]} */
    this.waiting = [];
  }

  /**
   * @param {string} item
   * @param {string} audio
   */
  play(item, audio) {
    const pcm = fromBase64(audio);
    this.busy = true;
    this.node.port.postMessage({ type: "sound", item, pcm }, [pcm]);
  }

  /** No more sound comes of this message. */
  end() {
    this.node.port.postMessage({ type: "end" });
  }

  /**
   * Be silent now.
   * @returns {Promise<Cut | null>} null when nothing was being played
   */
  flush() {
    if (!this.busy) return Promise.resolve(null);
    this.busy = false;
    this.node.port.postMessage({ type: "flush" });
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  close() {
    this.node.port.onmessage = null;
    this.node.disconnect();
    for (const resolve of this.waiting.splice(0)) resolve(null);
  }

  /** @param {any} message */
  take(message) {
    switch (message.type) {
      case "audible": {
        const ahead = (message.at - this.context.currentTime + this.latency()) * 1000;
        this.dispatchEvent(new CustomEvent("audible", { detail: { item: message.item, at: performance.now() + ahead } }));
        break;
      }
      case "progress":
        this.level = message.level;
        if (message.heard === this.heard) break;
        this.heard = message.heard;
        this.dispatchEvent(new Event("progress"));
        break;
      case "drained":
        this.busy = false;
        this.dispatchEvent(new Event("drained"));
        break;
      case "flushed": {
        const playedS = Math.max(0, message.playedS - this.latency());
        this.waiting.shift()?.(message.item === null ? null : { item: message.item, playedS });
        break;
      }
    }
  }

  /** @returns {number} seconds between the worklet and the ear, as far as the browser knows */
  latency() {
    return this.context.outputLatency || this.context.baseLatency || 0;
  }
}
