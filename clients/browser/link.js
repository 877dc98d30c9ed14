// @ts-check
/** One conversation with the server over its websocket; when that breaks, it comes back by itself and goes on. */
import { speechOf } from "./frames.js";
import { Outbox } from "./outbox.js";

const DELAYS_S = [0.5, 1, 2, 4, 8];
const BACKLOG = 1 << 20;
const FREE = 1 << 13; // a few chunks of sound, on their way out
const ACKNOWLEDGE_MS = 400;
const TRY_AGAIN_LATER = 1013;
const TAKEN_OVER = 4001;

/** @typedef {import("./outbox.js").Message} Message */
/** @typedef {import("./frames.js").Speech} Speech */
/** @typedef {"refused" | "lost" | "gone" | "busy" | "elsewhere"} Cause why there is no connection */
/**
 * @typedef {object} Listener
 * @property {(message: Message) => void} message the server said something
 * @property {(speech: Speech) => void} speech a binary message with a reply's sound
 * @property {(session: any, resumed: boolean) => void} open the conversation begins, or goes on
 * @property {(cause: Cause, reason: string) => void} down the connection is gone; but for "refused" and "elsewhere" it comes back
 * @property {(ticket: string | null) => void} ticket what a reloaded page would resume with
 */

/* What the page and its line say to each other. */
/**
 * @typedef {{do: "open", call: number, url: string, token: string, ticket: string | null} | {do: "close"} | {do: "send", message: Message}
 *   | {do: "silence"} | {do: "look", on: boolean} | {do: "microphone" | "speaker" | "camera", port: MessagePort}} Order
 */
/**
 * @typedef {{call: number} & ({is: "open", session: any, resumed: boolean} | {is: "message", message: Message, sentAt: number | null}
 *   | {is: "down", cause: Cause, reason: string} | {is: "ticket", ticket: string | null}
 *   | {is: "sounding", item: string} | {is: "cut", item: string, ms: number} | {is: "released"})} Report which call it is of, and what happened
 */

export class Link {
  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
    this.url = "";
    this.token = "";
    /** @type {WebSocket | null} */
    this.socket = null;
    this.failures = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.wanted = false;
    /** There is a conversation on this connection. */
    this.ready = false;
    /** The server takes sound as binary messages. */
    this.binary = false;
    this.outbox = new Outbox();
    /** What the session survives its socket with. @type {string | null} */
    this.ticket = null;
    this.received = 0;
    this.acknowledged = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.acknowledging = undefined;
  }

  /**
   * @param {string} url
   * @param {string} token "" where none is needed
   * @param {string | null} ticket of the conversation to go on with
   */
  open(url, token, ticket) {
    if (this.wanted) return;
    this.url = url;
    this.token = token;
    this.ticket = ticket;
    this.received = 0;
    this.wanted = true;
    this.failures = 0;
    this.dial();
  }

  /** Hang up: the conversation is over. */
  close() {
    this.wanted = false;
    this.forget();
    clearTimeout(this.timer);
    this.socket?.close(1000);
    this.socket = null;
  }

  /** There is no session any more that could go on. */
  forget() {
    this.ready = false;
    this.binary = false;
    this.ticket = null;
    this.received = 0;
    this.acknowledged = 0;
    this.outbox.reset();
    clearTimeout(this.acknowledging);
    this.acknowledging = undefined;
  }

  /** @param {Message} message; while the connection is down, it waits */
  send(message) {
    if (!this.ready && this.ticket === null) return;
    this.outbox.note(message);
    if (this.ready) this.socket?.send(JSON.stringify(message));
  }

  /**
   * Send a chunk of the microphone; dropped while more than a megabyte waits to go out.
   * @param {string | ArrayBuffer} chunk
   * @returns {boolean} whether it went
   */
  append(chunk) {
    if (!this.ready || !this.socket || this.socket.bufferedAmount > BACKLOG) return false;
    this.outbox.sound();
    this.socket.send(typeof chunk === "string" ? JSON.stringify({ type: "input_audio_buffer.append", audio: chunk }) : chunk);
    return true;
  }

  /**
   * Send a picture of the camera, if nothing else waits to go out: sound is never behind it.
   * @param {ArrayBuffer} frame
   * @returns {boolean} whether it went
   */
  show(frame) {
    if (!this.ready || !this.binary || !this.socket || this.socket.bufferedAmount > FREE) return false;
    this.outbox.sound(); // counted, but not worth repeating
    this.socket.send(frame);
    return true;
  }

  dial() {
    const protocols = ["realtime"];
    if (this.token) protocols.push(`openai-insecure-api-key.${this.token}`);
    if (this.ticket !== null) protocols.push(`parley-resume.${this.ticket}${this.received > 0 ? `.${this.received}` : ""}`);
    const socket = new WebSocket(this.url, protocols);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
    };
    socket.onmessage = ({ data }) => {
      if (this.socket !== socket) return;
      if (typeof data === "string") this.take(JSON.parse(data));
      else this.hear(data);
    };
    socket.onclose = async ({ code, reason }) => {
      if (this.socket !== socket || !this.wanted) return;
      this.socket = null;
      this.ready = false;
      const cause = opened ? (code === TRY_AGAIN_LATER ? "busy" : code === TAKEN_OVER ? "elsewhere" : "lost") : await this.whyClosed();
      if (this.wanted) this.fail(cause, reason);
    };
  }

  /** @param {Message} message */
  take(message) {
    if (typeof message.parley_seq === "number") this.count(message.parley_seq);
    switch (message.type) {
      case "session.created":
        this.forget();
        this.listener.ticket(null);
        this.begin(message.session, false);
        break;
      case "parley.resumed":
        this.received = message.received;
        this.acknowledged = message.received;
        this.binary = message.session?.parley?.binary === true;
        this.begin(message.session, true);
        for (const missing of this.outbox.resume(message.taken)) this.send(missing);
        break;
      case "session.updated":
        this.binary = message.session?.parley?.binary === true;
        break;
      case "parley.resumable":
        this.ticket = message.token;
        this.listener.ticket(this.ticket);
        break;
    }
    // Until a conversation begins, there is only the reason why it can't; the closing says it once more.
    if (this.ready) this.listener.message(message);
  }

  /**
   * @param {any} session
   * @param {boolean} resumed
   */
  begin(session, resumed) {
    this.ready = true;
    this.failures = 0;
    this.listener.open(session, resumed);
  }

  /** @param {ArrayBuffer} data */
  hear(data) {
    const speech = speechOf(data);
    if (speech === null) return;
    if (speech.sequence > 0) this.count(speech.sequence);
    this.listener.speech(speech);
  }

  /** @param {number} sequence of an event; the server lets go of it when it knows */
  count(sequence) {
    this.received = sequence;
    this.acknowledging ??= setTimeout(() => {
      this.acknowledging = undefined;
      if (!this.ready || this.received === this.acknowledged) return;
      this.acknowledged = this.received;
      this.outbox.sound(); // counted, but not worth repeating
      this.socket?.send(JSON.stringify({ type: "parley.ack", received: this.received }));
    }, ACKNOWLEDGE_MS);
  }

  /**
   * A browser doesn't say why no websocket was opened: see whether the server answers.
   * @returns {Promise<Cause>}
   */
  async whyClosed() {
    try {
      await fetch(new URL("/healthz", this.url.replace(/^ws/, "http")), { cache: "no-store", signal: AbortSignal.timeout(3000) });
      return "refused";
    } catch {
      return "gone";
    }
  }

  /**
   * @param {Cause} cause
   * @param {string} reason
   */
  fail(cause, reason) {
    if (cause === "refused" && this.failures > 0) {
      this.failures = 0; // perhaps it came up just now
      this.dial();
      return;
    }
    if (cause === "refused" || cause === "elsewhere") {
      this.wanted = false;
      this.forget();
      this.listener.ticket(null);
    } else {
      const delay = DELAYS_S[Math.min(this.failures, DELAYS_S.length - 1)] * (1 + Math.random() / 5);
      this.failures += 1;
      this.timer = setTimeout(() => this.dial(), delay * 1000);
    }
    this.listener.down(cause, reason);
  }
}
