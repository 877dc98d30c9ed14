// @ts-check
/** One conversation with the server over its websocket; comes back by itself when the connection breaks. */

const DELAYS_S = [0.5, 1, 2, 4, 8];
const BACKLOG = 1 << 20;

/** @typedef {{type: string} & Record<string, any>} Message one event of the OpenAI Realtime protocol */

/**
 * Events: "open", "message" (detail: Message), "down" (detail: {sentence, retries}).
 */
export class Link extends EventTarget {
  /**
   * @param {string} url
   * @param {string | null} token
   */
  constructor(url, token) {
    super();
    this.url = url;
    this.token = token;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.failures = 0;
    this.timer = 0;
    this.wanted = false;
    /** Chunks of the microphone that were dropped because the network was too slow for them. */
    this.dropped = 0;
  }

  get ready() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  open() {
    if (this.wanted) return;
    this.wanted = true;
    this.failures = 0;
    this.dial();
  }

  close() {
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.socket = null;
  }

  /** @param {Message} message */
  send(message) {
    if (this.ready) this.socket?.send(JSON.stringify(message));
  }

  /**
   * Send a chunk of the microphone; dropped, and counted, while more than a megabyte waits to go out.
   * @param {string} audio
   * @returns {boolean} whether it went
   */
  append(audio) {
    if (!this.ready) return false;
    if ((this.socket?.bufferedAmount ?? 0) > BACKLOG) {
      this.dropped += 1;
      return false;
    }
    this.send({ type: "input_audio_buffer.append", audio });
    return true;
  }

  dial() {
    const protocols = ["realtime"];
    if (this.token) protocols.push(`openai-insecure-api-key.${this.token}`);
    const socket = new WebSocket(this.url, protocols);
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.failures = 0;
      this.dispatchEvent(new Event("open"));
    };
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.dispatchEvent(new CustomEvent("message", { detail: JSON.parse(data) }));
    };
    socket.onclose = async ({ code, reason }) => {
      if (this.socket !== socket || !this.wanted) return;
      this.socket = null;
      const cause = opened ? (code === 1008 ? "refused" : "lost") : await this.whyClosed();
      if (this.wanted) this.fail(cause, reason);
    };
  }

  /** A browser does not say why a websocket was not opened: see whether the server answers at all. */
  async whyClosed() {
    try {
      await fetch("icon.svg", { cache: "no-store", signal: AbortSignal.timeout(3000) });
      return "refused";
    } catch {
      return "gone";
    }
  }

  /**
   * @param {"refused" | "lost" | "gone"} cause
   * @param {string} reason that the server gave
   */
  fail(cause, reason) {
    if (cause === "refused") {
      this.wanted = false;
      const why = reason || (this.token ? "its token is not this page's, or it is full" : "it wants a token, or it is full");
      this.down(`The server did not let this page in: ${why}. Open the address that “parley serve” printed, or try again in a moment.`, false);
      return;
    }
    const delay = DELAYS_S[Math.min(this.failures, DELAYS_S.length - 1)] * (1 + Math.random() / 5);
    this.failures += 1;
    this.timer = window.setTimeout(() => this.dial(), delay * 1000);
    this.down(
      cause === "lost"
        ? "The connection to Parley broke off. Trying again…"
        : "Parley's server does not answer. Start it with “parley serve”; this page comes back by itself.",
      true,
    );
  }

  /**
   * @param {string} sentence
   * @param {boolean} retries
   */
  down(sentence, retries) {
    this.dispatchEvent(new CustomEvent("down", { detail: { sentence, retries } }));
  }
}
