// @ts-check
/** The loudspeaker, as the page sees it: the sound itself comes to it straight from the line. */

/** Events: "audible" (detail: {item, at}, `at` in ms since 1970), "progress", "drained". */
export class Speaker extends EventTarget {
  /**
   * @param {AudioContext} context with the module speaker-worklet.js loaded
   * @param {MessagePort} line where the sound comes from
   * @param {MessagePort} level where the orb reads how loud it is
   */
  constructor(context, line, level) {
    super();
    this.context = context;
    this.node = new AudioWorkletNode(context, "speaker", { numberOfInputs: 0, outputChannelCount: [2] });
    this.node.connect(context.destination);
    this.node.port.postMessage({ type: "ports", line, level }, [line, level]);
    this.node.port.onmessage = ({ data }) => this.take(data);
    this.latencyS = 0;
    /** Samples played that were not silent. */
    this.heard = 0;
  }

  /** @param {{type: "audible", item: string, at: number} | {type: "progress", heard: number} | {type: "drained"}} message */
  take(message) {
    switch (message.type) {
      case "audible": {
        this.tellLatency();
        const aheadMs = (message.at - this.context.currentTime + this.latencyS) * 1000;
        const at = performance.timeOrigin + performance.now() + aheadMs;
        this.dispatchEvent(new CustomEvent("audible", { detail: { item: message.item, at } }));
        break;
      }
      case "progress":
        this.heard = message.heard;
        this.dispatchEvent(new Event("progress"));
        break;
      case "drained":
        this.dispatchEvent(new Event("drained"));
        break;
    }
  }

  /** How far the ear is behind the worklet, as far as the browser knows. */
  tellLatency() {
    this.latencyS = this.context.outputLatency || this.context.baseLatency || 0;
    this.node.port.postMessage({ type: "latency", seconds: this.latencyS });
  }
}
