// @ts-check
/** The page: joins the microphone, the link, the speaker and what is shown; holds the state of the conversation. */
import { Link } from "./link.js";
import { Microphone, MicrophoneError, askForMicrophone } from "./microphone.js";
import { Orb } from "./orb.js";
import { toBase64 } from "./pcm.js";
import { Sent } from "./sent.js";
import { Speaker } from "./speaker.js";
import { Transcript } from "./transcript.js";

/** @typedef {import("./link.js").Message} Message */
/** @typedef {import("./orb.js").State} State */

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`The page has no ${id}.`);
  return found;
}

const page = {
  talk: element("talk", HTMLButtonElement),
  state: element("state", HTMLElement),
  controls: element("controls", HTMLElement),
  mute: element("mute", HTMLButtonElement),
  stop: element("stop", HTMLButtonElement),
  problem: element("problem", HTMLElement),
  hints: element("hints", HTMLElement),
  typed: element("typed", HTMLFormElement),
  words: element("words", HTMLInputElement),
};

const WORDS = {
  idle: "Press to talk",
  connecting: "Connecting…",
  ready: "Type below, or press to talk",
  listening: "Listening",
  muted: "You are muted",
  hearing: "Hearing you",
  thinking: "Thinking",
  speaking: "Speaking",
  stopped: "Stopped. Press to talk again",
};
const ACTION = {
  idle: "Start talking",
  connecting: "Connecting",
  ready: "Start talking",
  listening: "Mute the microphone",
  muted: "Unmute the microphone",
  hearing: "Mute the microphone",
  thinking: "Stop the answer",
  speaking: "Stop the answer",
  stopped: "Start talking again",
};

const token = new URLSearchParams(location.hash.slice(1)).get("token");
const link = new Link(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/realtime`, token);
const transcript = new Transcript(element("transcript", HTMLElement), element("announcer", HTMLElement));
const sent = new Sent();

/** @type {AudioContext | null} */
let context = null;
/** @type {Promise<AudioContext> | null} */
let opening = null;
/** @type {Microphone | null} */
let microphone = null;
/** @type {Speaker | null} */
let speaker = null;
/** The person wants a conversation: pressed the button, or typed. */
let active = false;
let stopped = false;
/** The browser asks the person for the microphone. */
let askingForMicrophone = false;
/** Someone is being heard. */
let hearing = false;
/** An utterance or a typed turn waits for its answer. */
let awaiting = false;
/** @type {string | null} */
let responseId = null;
/** Responses whose sound is no longer wanted. @type {Set<string>} */
const unwanted = new Set();
/** When the last question ended, and how the page knows. @type {{at: number, spoken: boolean} | null} */
let asked = null;
/** Server's own account of a turn, by response. @type {Map<string, string>} */
const accounts = new Map();
/** @type {string[]} */
const unsaid = [];

new Orb(element("orb", HTMLCanvasElement), () => ({
  state: currentState(),
  heard: microphone?.level ?? 0,
  spoken: speaker?.level ?? 0,
}));

/** @returns {State} */
function currentState() {
  if (!active) return stopped ? "stopped" : "idle";
  if (!link.ready) return "connecting";
  if (hearing) return "hearing";
  if (speaker?.busy) return "speaking";
  if (awaiting || responseId) return "thinking";
  if (!microphone) return "ready";
  return microphone.muted ? "muted" : "listening";
}

function show() {
  const state = currentState();
  document.body.dataset.state = state;
  document.body.dataset.heard = String(speaker?.heard ?? 0);
  const words = askingForMicrophone ? "Waiting for your microphone" : WORDS[state];
  if (page.state.textContent !== words) page.state.textContent = words;
  page.talk.setAttribute("aria-label", ACTION[state]);
  page.controls.hidden = !active;
  page.mute.hidden = microphone === null;
  page.mute.setAttribute("aria-pressed", String(microphone?.muted ?? false));
  page.mute.textContent = microphone?.muted ? "Unmute" : "Mute";
  page.hints.hidden = !transcript.empty;
}

/** @param {string} sentence empty when the problem is gone */
function complain(sentence) {
  page.problem.hidden = sentence === "";
  page.problem.textContent = sentence;
}

// --- Beginning and ending ---

/** @returns {Promise<AudioContext>} one that runs, with the speaker on it */
async function openSpeaker() {
  opening ??= openContext();
  const ready = await opening;
  await ready.resume();
  return ready;
}

async function openContext() {
  const fresh = new AudioContext({ latencyHint: "interactive" });
  await Promise.all(["microphone-worklet.js", "speaker-worklet.js"].map((file) => fresh.audioWorklet.addModule(file)));
  context = fresh;
  speaker = new Speaker(fresh);
  speaker.addEventListener("audible", (event) => noteAudible(/** @type {CustomEvent} */ (event).detail));
  speaker.addEventListener("progress", show);
  speaker.addEventListener("drained", show);
  return fresh;
}

async function startTalking() {
  if (askingForMicrophone) return;
  complain("");
  active = true;
  stopped = false;
  askingForMicrophone = true;
  show();
  try {
    const stream = await askForMicrophone();
    const ready = await openSpeaker();
    if (!active) {
      for (const track of stream.getTracks()) track.stop();
      await ready.suspend();
      return;
    }
    microphone = new Microphone(ready, stream);
    microphone.addEventListener("chunk", (event) => sendSound(/** @type {CustomEvent} */ (event).detail));
    link.open();
    microphone.addEventListener("unplugged", () => {
      closeMicrophone();
      complain("The microphone went away. Plug it in and press the button again, or type below.");
      show();
    });
  } catch (error) {
    if (!(error instanceof MicrophoneError)) throw error;
    complain(error.message);
    if (transcript.empty && unsaid.length === 0) stopTalking(false);
  } finally {
    askingForMicrophone = false;
    show();
  }
}

function closeMicrophone() {
  microphone?.close();
  microphone = null;
  hearing = false;
}

/** @param {boolean} said whether the person asked for it */
function stopTalking(said) {
  active = false;
  stopped = said;
  closeMicrophone();
  link.close();
  speaker?.flush();
  void context?.suspend();
  forgetTurn();
  transcript.settle();
  transcript.separate("New conversation");
  unsaid.length = 0;
  show();
}

function forgetTurn() {
  hearing = false;
  awaiting = false;
  responseId = null;
  asked = null;
}

// --- What goes out ---

/** @param {ArrayBuffer} pcm */
function sendSound(pcm) {
  if (link.append(toBase64(pcm))) sent.note(pcm.byteLength / 2, performance.now());
}

/** @param {string} text */
async function say(text) {
  active = true;
  stopped = false;
  complain("");
  unsaid.push(text);
  show();
  await openSpeaker();
  if (!active) return;
  link.open();
  if (responseId || speaker?.busy) await interrupt();
  sayUnsaid();
}

/** A typed turn waits until the link is open and the answer before it has ended. */
function sayUnsaid() {
  if (!link.ready || responseId) return;
  const text = unsaid.shift();
  if (text === undefined) return;
  const id = `item_${crypto.getRandomValues(new Uint32Array(4)).join("")}`.slice(0, 32);
  transcript.complete(id, "user", text);
  link.send({
    type: "conversation.item.create",
    item: { id, type: "message", role: "user", content: [{ type: "input_text", text }] },
  });
  link.send({ type: "response.create" });
  asked = { at: performance.now(), spoken: false };
  awaiting = true;
  show();
}

/** The person wants the answer to stop: by button, by key, or by typing on. */
async function interrupt() {
  if (responseId) {
    unwanted.add(responseId);
    link.send({ type: "response.cancel" });
  }
  awaiting = false;
  await silence();
}

/** Stop the sound at once, and tell the server how much of it was heard. */
async function silence() {
  const cut = await speaker?.flush();
  if (cut) {
    link.send({
      type: "conversation.item.truncate",
      item_id: cut.item,
      content_index: 0,
      audio_end_ms: Math.round(cut.playedS * 1000),
    });
  }
  show();
}

// --- What comes in ---

/** @param {Message} event */
function take(event) {
  switch (event.type) {
    case "session.created":
      link.send({ type: "session.update", session: { type: "realtime", parley: { timings: true } } });
      break;
    case "input_audio_buffer.speech_started":
      hearing = true;
      awaiting = false;
      if (responseId) unwanted.add(responseId);
      void silence();
      break;
    case "input_audio_buffer.speech_stopped":
      hearing = false;
      awaiting = true;
      asked = { at: sent.when(event.audio_end_ms) ?? performance.now(), spoken: true };
      break;
    case "input_audio_buffer.committed":
      transcript.entry(event.item_id, "user");
      break;
    case "input_audio_buffer.cleared":
      hearing = false;
      awaiting = false;
      transcript.settle();
      break;
    case "conversation.item.input_audio_transcription.delta":
      transcript.add(event.item_id, "user", event.delta ?? "");
      break;
    case "conversation.item.input_audio_transcription.completed":
      transcript.complete(event.item_id, "user", event.transcript);
      break;
    case "conversation.item.input_audio_transcription.failed":
      transcript.remove(event.item_id);
      complain("Those words could not be understood. Say them again, or type them.");
      break;
    case "conversation.item.deleted":
      transcript.remove(event.item_id);
      break;
    case "conversation.item.truncated":
      link.send({ type: "conversation.item.retrieve", item_id: event.item_id });
      break;
    case "conversation.item.retrieved":
      if (event.item.role === "assistant") transcript.cut(event.item.id, wordsOf(event.item));
      break;
    case "response.created":
      responseId = event.response.id;
      awaiting = false;
      complain("");
      break;
    case "response.output_audio_transcript.delta":
    case "response.output_text.delta":
      transcript.add(event.item_id, "assistant", event.delta);
      break;
    case "response.output_audio_transcript.done":
    case "response.output_text.done":
      transcript.close(event.item_id);
      break;
    case "response.output_audio.delta":
      if (!unwanted.has(event.response_id)) speaker?.play(event.item_id, event.delta);
      break;
    case "response.output_audio.done":
      if (!unwanted.has(event.response_id)) speaker?.end();
      break;
    case "response.done":
      takeDone(event.response);
      break;
    case "parley.turn.timings":
      accounts.set(event.response_id, account(event));
      break;
    case "error":
      takeError(event.error);
      break;
  }
  show();
}

/** @param {any} response */
function takeDone(response) {
  if (responseId === response.id) responseId = null;
  unwanted.delete(response.id);
  for (const item of response.output ?? []) {
    if (response.status === "cancelled") transcript.cut(item.id, wordsOf(item));
    else transcript.close(item.id);
  }
  if (response.status === "failed") {
    awaiting = false;
    complain(`Parley could not answer: ${response.status_details?.error?.message ?? "see the server's log"}`);
  }
  sayUnsaid();
}

/** @param {{code?: string, message: string, param?: string}} error */
function takeError(error) {
  const benign = ["response_cancel_not_active", "item_retrieve_invalid_item_id", "unknown_parameter"];
  if (error.code && benign.includes(error.code)) return;
  if (error.param?.startsWith("audio_end_ms") || error.param === "item_id") return;
  awaiting = false;
  complain(error.message);
}

/**
 * @param {any} item
 * @returns {string} what stands in the conversation of it
 */
function wordsOf(item) {
  return (item.content ?? []).map((/** @type {any} */ part) => part.transcript ?? part.text ?? "").join("");
}

/** @param {{item: string, at: number}} heard */
function noteAudible({ item, at }) {
  if (!asked) return;
  const seconds = Math.max(0, at - asked.at) / 1000;
  const since = asked.spoken
    ? "From the end of your words, as the server marked it, to the first sound at your loudspeaker."
    : "From sending your words to the first sound at your loudspeaker.";
  const server = responseId ? accounts.get(responseId) : undefined;
  transcript.annotate(item, `${asked.spoken ? "answered" : "spoken"} after ${seconds.toFixed(2)} s`, server ? `${since}\n${server}` : since);
  asked = null;
  show();
}

/**
 * @param {Message} event
 * @returns {string}
 */
function account(event) {
  const stages = Object.entries(event)
    .filter(([name, value]) => name.endsWith("_ms") && typeof value === "number")
    .map(([name, value]) => `${name.slice(0, -3).replace("_", " ")} ${Math.round(value)}`);
  return `On the server, in ms after your last word arrived: ${stages.join(", ")}.`;
}

link.addEventListener("message", (event) => take(/** @type {CustomEvent} */ (event).detail));
link.addEventListener("open", () => {
  sent.reset();
  complain("");
  sayUnsaid();
  show();
});
link.addEventListener("down", (event) => {
  const { sentence, retries } = /** @type {CustomEvent} */ (event).detail;
  forgetTurn();
  void speaker?.flush();
  transcript.settle();
  transcript.separate("New conversation");
  if (!retries) stopTalking(false);
  complain(sentence);
  show();
});

// --- What the person does ---

page.talk.addEventListener("click", () => {
  const state = currentState();
  if (state === "idle" || state === "stopped" || state === "ready") void startTalking();
  else if (state === "speaking" || state === "thinking") void interrupt();
  else toggleMute();
});
page.mute.addEventListener("click", toggleMute);
page.stop.addEventListener("click", () => {
  stopTalking(true);
  page.talk.focus();
});
page.typed.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = page.words.value.trim();
  page.words.value = "";
  if (text) void say(text);
});
for (const hint of page.hints.querySelectorAll("button")) {
  hint.addEventListener("click", () => void say((hint.textContent ?? "").replace(/[“”]/g, "")));
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && (speaker?.busy || responseId)) void interrupt();
  const writing = event.target instanceof HTMLInputElement;
  if (event.key.toLowerCase() === "m" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) toggleMute();
});

function toggleMute() {
  if (!microphone) return;
  microphone.muted = !microphone.muted;
  show();
}

show();
