// @ts-check
/** The conversation as the page follows it: what comes from the server, what goes to it, and whose turn it is. */
import { ANSWER, LINE } from "./sentences.js";
import { Line } from "./line.js";

/** @typedef {import("./line.js").Report} Report */
/** @typedef {import("./outbox.js").Message} Message */
/** @typedef {import("./transcript.js").Transcript} Transcript */
/** @typedef {{at: number, spoken: boolean}} Asked when the last question ended, in ms since 1970 */

const EXTENSIONS = { timings: true, heard: true, binary: true, resume: true, route: true, scene: true };
const BENIGN = new Set(["response_cancel_not_active", "item_retrieve_invalid_item_id", "resume_failed", "camera_off"]);
const KEPT_TIMINGS = 20;

/**
 * Events: "change" (something that shows), "trouble" (detail: a sentence, or "" when it is over), "refused" (the server
 * wants a token), "session" (detail: the server's session object), "released" (the last of the held sound went out),
 * "answered" (detail: {item, ms, spoken, timings}), "sight" (detail: an event of the server's that concerns the camera).
 */
export class Conversation extends EventTarget {
  /**
   * @param {Transcript} transcript
   * @param {(own: any) => Message} update the `session.update` that says what the person chose; `own` is the server's session
   */
  constructor(transcript, update) {
    super();
    this.transcript = transcript;
    this.update = update;
    this.line = new Line((report) => this.report(report));
    this.extensions = { ...EXTENSIONS };
    /** The server's session as it began. @type {any} */
    this.own = null;
    this.active = false;
    /** The page was reloaded: it goes on with what was, or not at all. */
    this.returning = false;
    this.hearing = false;
    /** An utterance or a typed turn waits for its answer. */
    this.awaiting = false;
    /** @type {string | null} */
    this.responseId = null;
    /** The message whose sound is being played, or waits to be. @type {string | null} */
    this.sounding = null;
    /** @type {Asked | null} */
    this.asked = null;
    /** The last answer that was heard, and the server's accounts of turns: either may come first. */
    this.answer = { response: "", item: "", ms: 0, spoken: false };
    /** @type {Map<string, Message>} */
    this.timings = new Map();
    /** Typed turns that wait for the line, or for the answer before them. @type {string[]} */
    this.unsaid = [];
    /** The server says which words have been heard. */
    this.follows = false;
    /** What was said must be told to a server that knows nothing of it. */
    this.untold = false;
    /** The server understands the camera's pictures, as far as it says. */
    this.sees = false;
  }

  /** @returns {boolean} whether there is an answer that can be stopped */
  get answering() {
    return this.responseId !== null || this.sounding !== null;
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /** @param {string} sentence */
  trouble(sentence) {
    this.dispatchEvent(new CustomEvent("trouble", { detail: sentence }));
  }

  /**
   * @param {string} token
   * @param {string | null} ticket
   */
  begin(token, ticket = null) {
    this.active = true;
    this.returning = ticket !== null;
    this.line.open(token, ticket);
    this.changed();
  }

  end() {
    this.active = false;
    this.line.close();
    this.forgetTurn();
    this.transcript.settle();
    this.transcript.separate("New conversation");
    this.unsaid.length = 0;
    this.untold = false;
    this.changed();
  }

  forgetTurn() {
    this.hearing = false;
    this.awaiting = false;
    this.responseId = null;
    this.sounding = null;
    this.asked = null;
  }

  /** Tell the server what the person chose. */
  refresh() {
    if (!this.line.ready || !this.own) return;
    const message = this.update(this.own);
    this.line.send({ ...message, session: { ...message.session, parley: this.extensions } });
  }

  // --- What goes out ---

  /** @param {string} text that the person typed */
  say(text) {
    this.returning = false;
    this.unsaid.push(text);
    if (this.answering) this.interrupt();
    this.sayUnsaid();
  }

  /** A typed turn waits until the line is open and the answer before it has ended. */
  sayUnsaid() {
    if (!this.line.ready || this.responseId !== null) return;
    const text = this.unsaid.shift();
    if (text === undefined) return;
    const id = freshId();
    this.transcript.complete(id, "user", text);
    this.line.send(itemOf(id, "user", text));
    this.line.send({ type: "response.create" });
    this.asked = { at: now(), spoken: false };
    this.awaiting = true;
    this.changed();
  }

  /** The person wants the answer to stop: by button, by key, by typing on or by taking the floor. */
  interrupt() {
    this.line.silence();
    if (this.responseId !== null) this.line.send({ type: "response.cancel" });
    this.awaiting = false;
    this.sounding = null;
    this.changed();
  }

  /** Push to talk: the person begins. */
  hold() {
    if (this.answering) this.interrupt();
    this.line.send({ type: "input_audio_buffer.clear" });
    this.changed();
  }

  /** Push to talk: all of it has been sent. */
  commit() {
    this.line.send({ type: "input_audio_buffer.commit" });
    this.line.send({ type: "response.create" });
    this.asked = { at: now(), spoken: true };
    this.awaiting = true;
    this.changed();
  }

  /** Push to talk: it was too short to be anything. */
  discard() {
    this.line.send({ type: "input_audio_buffer.clear" });
    this.changed();
  }

  // --- What comes in ---

  /** @param {Report} report */
  report(report) {
    switch (report.is) {
      case "open":
        this.opened(report.session, report.resumed);
        break;
      case "message":
        this.take(report.message, report.sentAt);
        break;
      case "sounding":
        this.sounding = report.item;
        break;
      case "cut":
        if (this.sounding === report.item) this.sounding = null;
        break;
      case "released":
        this.dispatchEvent(new Event("released"));
        break;
      case "down":
        this.wentDown(report.cause, report.reason);
        break;
    }
    this.changed();
  }

  /**
   * @param {any} session
   * @param {boolean} resumed
   */
  opened(session, resumed) {
    if (this.returning && !resumed) {
      this.end();
      return;
    }
    this.returning = false;
    this.sees = sees(session);
    this.own ??= session;
    this.trouble("");
    this.dispatchEvent(new CustomEvent("session", { detail: session }));
    if (resumed) {
      this.untold = false;
      if (this.transcript.empty) {
        this.line.send({ type: "parley.conversation.retrieve" });
        if (this.sees) this.line.send({ type: "parley.camera", on: false }); // the page was reloaded
      }
    } else {
      if (this.untold) this.retell();
      this.refresh();
    }
    this.sayUnsaid();
  }

  /** The server began anew: tell it what was said, and let it answer what it still owes. */
  retell() {
    this.untold = false;
    const owed = this.awaiting || this.responseId !== null;
    this.forgetTurn();
    this.line.silence();
    this.transcript.settle();
    this.transcript.separate(LINE.retold);
    const said = this.transcript.said;
    // Half an answer would look like a whole one to the model: the question stands for itself.
    if (owed && said.at(-1)?.role === "assistant") said.pop();
    for (const { role, words } of said) this.line.send(itemOf(freshId(), role, words));
    if (!owed || said.at(-1)?.role !== "user") return;
    this.line.send({ type: "response.create" });
    this.asked = { at: now(), spoken: false };
    this.awaiting = true;
  }

  /**
   * @param {import("./link.js").Cause} cause
   * @param {string} reason
   */
  wentDown(cause, reason) {
    this.hearing = false;
    if (cause === "refused" || cause === "elsewhere") {
      this.end();
      if (cause === "refused") this.dispatchEvent(new Event("refused"));
      else this.trouble(LINE.elsewhere);
      return;
    }
    this.untold = !this.transcript.empty;
    this.trouble(cause === "busy" ? LINE.busy(reason) : LINE[cause]);
  }

  /**
   * @param {Message} event
   * @param {number | null} sentAt
   */
  take(event, sentAt) {
    switch (event.type) {
      case "input_audio_buffer.speech_started":
        this.hearing = true;
        this.awaiting = false;
        this.sounding = null;
        break;
      case "input_audio_buffer.speech_stopped":
        this.hearing = false;
        this.awaiting = true;
        this.asked = { at: sentAt ?? now(), spoken: true };
        break;
      case "input_audio_buffer.committed":
        this.transcript.entry(event.item_id, "user");
        break;
      case "input_audio_buffer.cleared":
        this.hearing = false;
        this.awaiting = false;
        this.transcript.settle();
        break;
      case "conversation.item.input_audio_transcription.delta":
        this.transcript.add(event.item_id, "user", event.delta ?? "");
        break;
      case "conversation.item.input_audio_transcription.completed":
        this.transcript.complete(event.item_id, "user", event.transcript);
        break;
      case "conversation.item.input_audio_transcription.failed":
        this.transcript.remove(event.item_id);
        this.trouble(ANSWER.unheard);
        break;
      case "conversation.item.deleted":
        this.transcript.remove(event.item_id);
        break;
      case "conversation.item.truncated":
        this.line.send({ type: "conversation.item.retrieve", item_id: event.item_id });
        break;
      case "conversation.item.retrieved":
        if (event.item.role === "assistant") this.transcript.cut(event.item.id, wordsOf(event.item));
        break;
      case "parley.conversation.retrieved":
        for (const item of event.items) if (item.type === "message") this.transcript.complete(item.id, item.role, wordsOf(item));
        break;
      case "response.created":
        this.responseId = event.response.id;
        this.awaiting = false;
        this.trouble("");
        break;
      case "response.output_audio_transcript.delta":
      case "response.output_text.delta":
        this.transcript.add(event.item_id, "assistant", event.delta);
        break;
      case "parley.bridge":
        this.transcript.remark(event.item_id, event.text);
        break;
      case "parley.heard":
        this.transcript.follow(event.item_id, event.text);
        break;
      case "response.output_audio_transcript.done":
      case "response.output_text.done":
        if (!this.follows) this.transcript.close(event.item_id);
        break;
      case "session.updated":
        this.follows = event.session?.parley?.heard === true;
        this.sees = sees(event.session);
        break;
      case "response.done":
        this.done(event.response);
        break;
      case "session.created":
      case "parley.scene":
      case "parley.camera":
        this.dispatchEvent(new CustomEvent("sight", { detail: event }));
        break;
      case "parley.watch":
        this.transcript.notice(`Parley saw: ${event.watch}`, event.text);
        break;
      case "parley.turn.timings":
        this.keepTimings(event);
        break;
      case "error":
        if (event.error.code === "unsupported_picture") this.dispatchEvent(new CustomEvent("sight", { detail: event }));
        else this.failed(event.error);
        break;
    }
  }

  /** @param {any} response */
  done(response) {
    if (this.responseId === response.id) this.responseId = null;
    for (const item of response.output ?? []) {
      if (item.type !== "message") continue;
      if (response.status === "cancelled") this.transcript.cut(item.id, wordsOf(item));
      else this.transcript.close(item.id);
    }
    if (response.status === "failed") {
      this.awaiting = false;
      this.trouble(ANSWER.failed(response.status_details?.error?.message));
    }
    this.sayUnsaid();
  }

  /** @param {{code?: string, message: string, param?: string}} error */
  failed(error) {
    const extension = error.param?.match(/^session\.parley\.(\w+)$/)?.[1];
    if (extension && extension in this.extensions) {
      // An older server: do without.
      delete this.extensions[/** @type {keyof typeof EXTENSIONS} */ (extension)];
      this.refresh();
      return;
    }
    if (error.code && BENIGN.has(error.code)) return;
    if (error.param?.startsWith("audio_end_ms") || error.param === "item_id") return;
    this.awaiting = false;
    this.trouble(error.message);
  }

  /** @param {Message} timings */
  keepTimings(timings) {
    this.timings.set(timings.response_id, timings);
    const [oldest] = this.timings.keys();
    if (this.timings.size > KEPT_TIMINGS) this.timings.delete(oldest);
    if (timings.response_id === this.answer.response) this.tellAnswer();
  }

  /** @param {{item: string, at: number}} heard the first sound of a message reached the ear */
  audible({ item, at }) {
    if (!this.asked) return;
    const { spoken, at: askedAt } = this.asked;
    this.asked = null;
    this.answer = { response: this.responseId ?? "", item, ms: Math.max(0, at - askedAt), spoken };
    this.tellAnswer();
  }

  tellAnswer() {
    const timings = this.timings.get(this.answer.response);
    this.dispatchEvent(new CustomEvent("answered", { detail: { ...this.answer, timings } }));
  }

  /** All that came has been played. */
  drained() {
    this.sounding = null;
    this.changed();
  }
}

/** @param {any} session @returns {boolean} */
const sees = (session) => session?.parley?.scene === true && session.parley.binary === true;

const now = () => performance.timeOrigin + performance.now();

/** @returns {string} */
function freshId() {
  return `item_${crypto.getRandomValues(new Uint32Array(4)).join("")}`.slice(0, 32);
}

/**
 * @param {string} id
 * @param {"user" | "assistant"} role
 * @param {string} text
 * @returns {Message}
 */
function itemOf(id, role, text) {
  const type = role === "user" ? "input_text" : "output_text";
  return { type: "conversation.item.create", item: { id, type: "message", role, content: [{ type, text }] } };
}

/**
 * @param {any} item
 * @returns {string} what stands in the conversation of it
 */
function wordsOf(item) {
  return (item.content ?? []).map((/** @type {any} */ part) => part.transcript ?? part.text ?? "").join("");
}
