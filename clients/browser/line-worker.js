// @ts-check
/**
 * The line to the server, in a thread of its own: sound goes from the microphone to the socket and from the socket to
 * the loudspeaker without ever waiting for the page, and an interruption falls silent without it.
 *
 * In, from the page: Order. Out, to the page: Report.
 */
import { microphoneFrame, pictureFrame } from "./frames.js";
import { Link } from "./link.js";
import { fromBase64, toBase64 } from "./pcm.js";
import { Sent } from "./sent.js";

/** @typedef {import("./outbox.js").Message} Message */
/** @typedef {import("./link.js").Order} Order */
/** @typedef {import("./link.js").Report} Report */
/** @template T @typedef {T extends unknown ? Omit<T, "call"> : never} ReportOf */

const page = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
const sent = new Sent();
/** Responses whose sound is no longer wanted. @type {Set<string>} */
const unwanted = new Set();
/** The message that each response speaks. @type {Map<string, string>} */
const items = new Map();
/** The response under way. @type {string | null} */
let current = null;
/** The item whose sound is being played, or waits to be. @type {string | null} */
let sounding = null;
/** @type {MessagePort | null} */
let speaker = null;
/** The camera's pictures may go out. */
let looking = false;
/** Which of the page's calls this is: what is still on its way of an earlier one is nothing to the page. */
let call = 0;

const link = new Link({
  message: take,
  speech: ({ response, pcm }) => play(response, items.get(response), pcm),
  open(session, resumed) {
    if (!resumed) {
      sent.reset();
      items.clear();
      unwanted.clear();
      current = null;
    }
    report({ is: "open", session, resumed });
  },
  down: (cause, reason) => report({ is: "down", cause, reason }),
  ticket: (ticket) => report({ is: "ticket", ticket }),
});

/** @param {ReportOf<Report>} message */
function report(message) {
  page.postMessage({ call, ...message });
}

const now = () => performance.timeOrigin + performance.now();

/** @param {Message} message */
function take(message) {
  if (message.content_index === 0) items.set(message.response_id, message.item_id);
  let sentAt = null;
  switch (message.type) {
    case "response.created":
      current = message.response.id;
      break;
    case "response.output_item.added":
      if (message.item.type === "message") items.set(message.response_id, message.item.id);
      break;
    case "input_audio_buffer.speech_started":
      silence();
      break;
    case "input_audio_buffer.speech_stopped":
      sentAt = sent.when(message.audio_end_ms);
      break;
    case "response.output_audio.delta":
      play(message.response_id, message.item_id, fromBase64(message.delta));
      return; // the page needs no sound
    case "response.output_audio.done":
      if (!unwanted.has(message.response_id)) speaker?.postMessage({ type: "end" });
      break;
    case "parley.camera":
      looking &&= message.on;
      break;
    case "response.done":
      if (current === message.response.id) current = null;
      unwanted.delete(message.response.id);
      items.delete(message.response.id);
      break;
  }
  report({ is: "message", message, sentAt });
}

/**
 * @param {string} response
 * @param {string | undefined} item
 * @param {ArrayBuffer} pcm
 */
function play(response, item, pcm) {
  if (item === undefined || unwanted.has(response)) return;
  if (sounding !== item) report({ is: "sounding", item });
  sounding = item;
  speaker?.postMessage({ type: "sound", item, pcm }, [pcm]);
}

/** Be silent now; the loudspeaker says how far it came. */
function silence() {
  if (current !== null) unwanted.add(current);
  if (sounding === null) return;
  sounding = null;
  speaker?.postMessage({ type: "flush" });
}

/** @param {{type: "played" | "flushed", item: string | null, ms: number}} message */
function takePlayed({ type, item, ms }) {
  if (item === null) return;
  if (link.binary) link.send({ type: "parley.played", item_id: item, played_ms: ms });
  if (type === "played") return;
  link.send({ type: "conversation.item.truncate", item_id: item, content_index: 0, audio_end_ms: ms });
  report({ is: "cut", item, ms });
}

/** @param {ArrayBuffer | "released"} chunk */
function takeSound(chunk) {
  if (chunk === "released") report({ is: "released" });
  else if (link.append(link.binary ? microphoneFrame(chunk) : toBase64(chunk))) sent.note(chunk.byteLength / 2, now());
}

/** @param {{jpeg: ArrayBuffer, takenAt: number}} picture @returns {boolean} whether it went */
function takePicture({ jpeg, takenAt }) {
  return looking && link.show(pictureFrame(jpeg, takenAt));
}

/** @param {MessageEvent<Order>} event */
page.onmessage = ({ data }) => {
  switch (data.do) {
    case "open":
      call = data.call;
      link.open(data.url, data.token, data.ticket);
      break;
    case "close":
      link.close();
      silence();
      break;
    case "send":
      link.send(data.message);
      break;
    case "silence":
      silence();
      break;
    case "look":
      looking = data.on;
      break;
    case "camera":
      data.port.onmessage = (event) => data.port.postMessage(takePicture(event.data));
      break;
    case "microphone":
      data.port.onmessage = (event) => takeSound(event.data);
      break;
    case "speaker":
      speaker = data.port;
      speaker.onmessage = (event) => takePlayed(event.data);
      break;
  }
};
