// @ts-check
/** One conversation with the server over its websocket; comes back by itself when the connection breaks. */

const DELAYS_S = [0.5, 1, 2, 4, 8];
const BACKLOG = 1 << 20;
const TRY_AGAIN_LATER = 1013;

const SENTENCES = {
  /** @param {string} reason */
  busy: (reason) => `${reason || "The server can't take another conversation now."} This page tries by itself.`,
  /** @param {string} _ */
  lost: (_) => "The connection to Parley broke off. Trying again…",
  /** @param {string} _ */
  gone: (_) => "Parley's server does not answer. Start it with “parley serve”; this page comes back by itself.",
};

/** @typedef {{type: string} & Record<string, any>} Message one event of the OpenAI Realtime protocol */

/**
 * Events: "open" (a conversation begins), "message" (detail: Message), "down" (detail: {sentence, retries}).
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
    /** The server has begun a conversation on this connection. */
    this.ready = false;
    /** Chunks of the microphone that were dropped because the network was too slow for them. */
    this.dropped = 0;
  }

  open() {
    if (this.wanted) return;
    this.wanted = true;
    this.failures = 0;
    this.dial();
  }

  close() {
    this.wanted = false;
    this.ready = false;
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.socket = null;
  }

  /** @param {Message} message */
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
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
    };
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      const message = JSON.parse(data);
      if (message.type === "session.created") {
        this.ready = true;
        this.failures = 0;
        this.dispatchEvent(new Event("open"));
      }
      if (this.ready) this.dispatchEvent(new CustomEvent("message", { detail: message }));
    };
    socket.onclose = async ({ code, reason }) => {
      if (this.socket !== socket || !this.wanted) return;
      this.socket = null;
      this.ready = false;
      const cause = opened ? (code === TRY_AGAIN_LATER ? "busy" : "lost") : await this.whyClosed();
      if (this.wanted) this.fail(cause, reason);
    };
  }

  /** A browser does not say why a websocket was not opened: see whether the server answers at all. */
  async whyClosed() {
    try {
      await fetch("healthz", { cache: "no-store", signal: AbortSignal.timeout(3000) });
      return "refused";
    } catch {
      return "gone";
    }
  }

  /**
   * @param {"refused" | "lost" | "gone" | "busy"} cause
   * @param {string} reason that the server gave
   */
  fail(cause, reason) {
    if (cause === "refused") {
      this.wanted = false;
      const has = this.token ? "the one in this page's address is not it" : "this page's address has none";
      this.down(`The server wants its token, and ${has}. Add #token=… with the server's PARLEY_TOKEN to the address, and load the page again.`, false);
      return;
    }
    const delay = DELAYS_S[Math.min(this.failures, DELAYS_S.length - 1)] * (1 + Math.random() / 5);
    this.failures += 1;
    this.timer = window.setTimeout(() => this.dial(), delay * 1000);
    this.down(SENTENCES[cause](reason), true);
  }

  /**
   * @param {string} sentence
   * @param {boolean} retries
   */
  down(sentence, retries) {
    this.dispatchEvent(new CustomEvent("down", { detail: { sentence, retries } }));
  }
}
