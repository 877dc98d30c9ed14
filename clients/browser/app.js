// @ts-check
/** The page: joins the conversation, the voice and what is shown. */
import { Conversation } from "./conversation.js";
import { Door } from "./door.js";
import { element } from "./element.js";
import { SAID, floorOf } from "./floor.js";
import { ticketOfThisTab } from "./line.js";
import { Orb } from "./orb.js";
import { leftOf, nameOf, onThisMachine, placeOf } from "./place.js";
import { pushToTalk } from "./push-to-talk.js";
import { ANSWER, LINE, MICROPHONE, Trouble } from "./sentences.js";
import { SettingsSheet, sessionUpdate } from "./settings-sheet.js";
import { Settings } from "./settings.js";
import { Transcript } from "./transcript.js";
import { Voice } from "./voice.js";
import { drawWaterfall } from "./waterfall.js";

/** Shorter than this, a hold is a slip of the finger. */
const LEAST_HOLD_MS = 250;

const page = {
  talk: element("talk", HTMLButtonElement),
  state: element("state", HTMLElement),
  mute: element("mute", HTMLButtonElement),
  camera: element("camera", HTMLButtonElement),
  stop: element("stop", HTMLButtonElement),
  end: element("end", HTMLButtonElement),
  problem: element("problem", HTMLElement),
  hints: element("hints", HTMLElement),
  typed: element("typed", HTMLFormElement),
  words: element("words", HTMLInputElement),
  account: element("account", HTMLDetailsElement),
  forget: element("forget-token", HTMLButtonElement),
};

const whereabouts = element("whereabouts", HTMLElement);
const settings = new Settings();
const sheet = new SettingsSheet(settings);
const door = new Door();
const orb = new Orb(element("orb", HTMLCanvasElement));
const transcript = new Transcript(element("transcript", HTMLElement), element("announcer", HTMLElement));
const conversation = new Conversation(transcript, (own) => sessionUpdate(settings.values, own));
const voice = new Voice(conversation.line, orb);
/** The camera, once it was wanted. @type {Promise<import("./sight.js").Sight> | null} */
let sight = null;

let stopped = false;
/** Push to talk: when the person began to hold. @type {number | null} */
let heldAt = null;

const pushes = () => settings.values.microphone === "push";

/** @returns {import("./floor.js").State} */
function currentState() {
  const { microphone } = voice;
  return floorOf({
    active: conversation.active || voice.asking,
    stopped,
    linked: conversation.line.ready && !voice.asking,
    hearing: conversation.hearing,
    sounding: conversation.sounding !== null,
    awaiting: conversation.awaiting || conversation.responseId !== null,
    microphone: !microphone ? "none" : pushes() ? (heldAt === null ? "released" : "held") : microphone.muted ? "muted" : "open",
  });
}

/** @param {HTMLElement} where @param {string} words */
function write(where, words) {
  if (where.textContent !== words) where.textContent = words;
}

function show() {
  const state = currentState();
  const { microphone } = voice;
  document.body.dataset.state = state;
  document.body.toggleAttribute("data-talked", !transcript.empty);
  orb.show(state);
  write(page.state, SAID[state].words);
  page.talk.setAttribute("aria-label", pushes() && microphone && state === "hearing" ? "Send what you said" : SAID[state].action);
  page.mute.hidden = !microphone || pushes();
  page.mute.setAttribute("aria-pressed", String(microphone?.muted ?? false));
  write(/** @type {HTMLElement} */ (page.mute.lastElementChild), microphone?.muted ? "Unmute" : "Mute");
  page.camera.hidden = !conversation.active;
  page.stop.hidden = !conversation.active;
  page.stop.disabled = !conversation.answering;
  page.end.hidden = !conversation.active;
  page.hints.hidden = !transcript.empty;
  page.forget.hidden = !door.known;
  document.getElementById("key-mute")?.toggleAttribute("hidden", pushes());
  document.getElementById("key-hold")?.toggleAttribute("hidden", !pushes());
}

/** @param {string} sentence empty when the problem is gone */
function complain(sentence) {
  page.problem.hidden = sentence === "";
  write(page.problem, sentence);
}

// --- Beginning and ending ---

async function startTalking() {
  if (voice.asking) return;
  complain("");
  stopped = false;
  const begun = conversation.active;
  conversation.returning = false;
  const listening = voice.listen(() => conversation.active);
  // At the same time: the server needs no microphone to be ready.
  if (!begun) conversation.begin(door.token);
  show();
  try {
    await listening;
    voice.microphone?.gate(!pushes() || heldAt !== null);
  } catch (error) {
    if (!(error instanceof Trouble)) throw error;
    if (!begun && transcript.empty && conversation.unsaid.length === 0) conversation.end();
    complain(error.message);
  }
  if (!conversation.active) voice.rest();
  show();
}

/** @param {boolean} said whether the person asked for it */
function stopTalking(said) {
  stopped = said;
  conversation.end();
  voice.rest();
  heldAt = null;
  show();
}

/** @param {string} text */
async function say(text) {
  stopped = false;
  complain("");
  conversation.say(text);
  if (!conversation.active) conversation.begin(door.token);
  show();
  await voice.open();
}

// --- What happens ---

conversation.addEventListener("change", show);
conversation.addEventListener("trouble", (event) => complain(/** @type {CustomEvent} */ (event).detail));
conversation.addEventListener("refused", () => {
  voice.rest();
  show();
  door.ask(() => void startTalking());
});
conversation.addEventListener("session", (event) => {
  const session = /** @type {CustomEvent} */ (event).detail;
  const own = session?.audio?.output?.voice;
  sheet.offerVoices(session?.parley?.voices ?? (settings.values.voice ? [settings.values.voice] : []), typeof own === "string" ? own : "");
});
conversation.addEventListener("released", () => {
  if (heldAt === null) return; // it closed for another reason
  const long = performance.now() - heldAt >= LEAST_HOLD_MS;
  heldAt = null;
  if (long) conversation.commit();
  else {
    conversation.discard();
    complain(ANSWER.short);
  }
  show();
});
conversation.addEventListener("answered", (event) => {
  const { item, ms: first, spoken, timings } = /** @type {CustomEvent} */ (event).detail;
  const place = timings ? placeOf(timings) : null;
  const bridged = timings?.bridge_ms && timings.first_audio_ms ? timings.first_audio_ms - timings.bridge_ms : 0;
  const ms = first + bridged;
  const took = `${(ms / 1000).toFixed(2)} s`;
  const from = spoken ? "From the end of your words" : "From sending your words";
  const where = place ? ` · ${nameOf(place)}` : "";
  const why = place?.why ? ` ${place.why}` : "";
  transcript.annotate(item, `${spoken ? "answered" : "spoken"} after ${took}${where}`, `${from} to its first sound at your loudspeaker.${why}`);
  write(element("account-said", HTMLElement), `${took}${where}`);
  drawWaterfall(element("waterfall", HTMLElement), { ...timings, heard_ms: ms });
  const discarded = timings?.discarded ?? 0;
  write(element("account-note", HTMLElement), discarded > 0 ? `Begun before you had finished, and thrown away: ${discarded}.` : "");
  write(element("account-place", HTMLElement), place ? `${place.by ? `Answered ${place.by === "device" ? "" : `by ${place.by} `}${nameOf(place)}.${why} ` : ""}${leftOf(place)}` : "");
  page.account.hidden = false;
  if (place && place.where !== "machine") write(whereabouts, `Answered ${nameOf(place)}`);
});

voice.addEventListener("audible", (event) => conversation.audible(/** @type {CustomEvent} */ (event).detail));
voice.addEventListener("progress", () => {
  document.body.dataset.heard = String(voice.speaker?.heard ?? 0);
});
voice.addEventListener("drained", () => conversation.drained());
voice.addEventListener("unplugged", () => {
  heldAt = null;
  complain(MICROPHONE.unplugged);
  show();
});
settings.addEventListener("change", (event) => {
  const key = /** @type {CustomEvent} */ (event).detail;
  if (key === "account" || key === "overlay") return;
  document.documentElement.dataset.theme = settings.values.theme;
  if (key === "theme") orb.look();
  else conversation.refresh();
  if (key === "microphone" && voice.microphone) {
    heldAt = null;
    voice.microphone.muted = false;
    voice.microphone.gate(!pushes());
  }
  show();
});

// --- What the person does ---

page.talk.addEventListener("click", () => {
  const state = currentState();
  if (state === "idle" || state === "stopped" || state === "ready") void startTalking();
  else if (pushes() && voice.microphone) return; // push-to-talk.js has it
  else if (state === "speaking" || state === "thinking") conversation.interrupt();
  else toggleMute();
});
pushToTalk(page.talk, {
  wanted: () => pushes() && voice.microphone !== null && conversation.active,
  began() {
    heldAt = performance.now();
    complain("");
    conversation.hold();
    voice.microphone?.gate(true);
    show();
  },
  ended() {
    voice.microphone?.gate(false);
  },
});
page.mute.addEventListener("click", toggleMute);
page.stop.addEventListener("click", () => conversation.interrupt());
page.end.addEventListener("click", () => {
  stopTalking(true);
  page.talk.focus();
});
page.camera.addEventListener("click", () => {
  complain("");
  sight ??= import("./sight.js").then((it) => it.openSight(page.camera, settings, conversation));
  sight.then((it) => it.toggle(), () => {
    sight = null;
    complain(LINE.gone);
  });
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
page.forget.addEventListener("click", () => {
  door.forget();
  show();
});
element("open-ledger", HTMLButtonElement).addEventListener("click", () => {
  sheet.dialog.close();
  import("./ledger.js").then((it) => it.showLedger(door.token), () => complain(LINE.gone));
});
page.account.addEventListener("toggle", () => settings.set("account", page.account.open));
document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "Escape" && conversation.answering) conversation.interrupt();
  const writing = event.target instanceof HTMLInputElement;
  if (event.key.toLowerCase() === "m" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) toggleMute();
});

function toggleMute() {
  if (!voice.microphone || pushes()) return;
  voice.microphone.muted = !voice.microphone.muted;
  show();
}

write(whereabouts, onThisMachine ? "Stays on this machine" : `Served by ${location.hostname}`);
page.account.open = settings.values.account && matchMedia("(min-width: 64rem)").matches;
show();
// A tab that was reloaded in the middle of a conversation goes on with it.
const ticket = ticketOfThisTab();
if (ticket !== null) conversation.begin(door.token, ticket);
// Last, so that it takes nothing from the page's beginning. Without it the page works, only not offline.
addEventListener("load", () => void navigator.serviceWorker?.register("service-worker.js").catch(() => {}));
