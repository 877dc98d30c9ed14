// @ts-check
/** What left the machine: the server's ledger in a sheet. Loaded when it is asked for, since few look at it often. */
import { onThisMachine } from "./place.js";

/** @typedef {{opened_at: string, host: string, backend: string, place: string, outcome: string, reason: string, text_bytes: number, picture_bytes: number, pictures: number, masked: number, cost: number, estimated: boolean}} Entry */
/** @typedef {{host: string, place: string, requests: number, sent_bytes: number, pictures: number, cost: number}} Total */
/** @typedef {{currency: string, total: Total, totals: Total[], data: Entry[], has_more: boolean}} Ledger */

const DAY_MS = 86_400_000;
const GONE = "Parley's server does not answer. Start it with “parley serve”, then look again.";
const LOCKED = "This Parley is locked. Close this, press the microphone to unlock it, then look again.";
/** @type {Record<string, string>} */
const OUTCOMES = {
  failed: "no answer came",
  cancelled: "broken off",
  unsent: "given up before it was sent",
  open: "under way, or Parley was stopped in the middle of it",
};
/** @type {Record<string, string>} */
const PLACES = { lan: "in your network", cloud: "in the cloud" };

/**
 * Show it.
 * @param {string} token the server's, or ""
 */
export async function showLedger(token) {
  const dialog = sheet();
  const body = dialog.querySelector("div[role=status]");
  const period = dialog.querySelector("select");
  if (!body || !period) return;
  const fill = async () => {
    body.replaceChildren(make("p", "Looking…"));
    try {
      body.replaceChildren(...account(await fetched(token, Number(period.value))));
    } catch (error) {
      body.replaceChildren(make("p", error instanceof Error ? error.message : String(error)));
    }
  };
  period.addEventListener("change", () => void fill());
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  await fill();
}

/** @returns {HTMLDialogElement} */
function sheet() {
  const dialog = document.createElement("dialog");
  dialog.className = "sheet ledger";
  dialog.setAttribute("aria-labelledby", "ledger-title");
  const style = document.createElement("link");
  style.rel = "stylesheet";
  style.href = "styles/ledger.css";
  const head = make("div", "", "sheet-head");
  const title = make("h2", onThisMachine ? "What left this machine" : `What left ${location.hostname}`);
  title.id = "ledger-title";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "round";
  close.setAttribute("aria-label", "Close");
  close.innerHTML = '<svg aria-hidden="true"><use href="#i-end"/></svg>';
  close.addEventListener("click", () => dialog.close());
  head.append(title, close);
  const period = document.createElement("select");
  period.setAttribute("aria-label", "Since when");
  period.append(new Option("Today", "0"), new Option("Last 7 days", "7"), new Option("Last 30 days", "30"));
  const body = document.createElement("div");
  body.setAttribute("role", "status");
  dialog.append(style, head, period, body);
  return dialog;
}

/**
 * @param {string} token
 * @param {number} days 0: today, as the server's owner counts days
 * @returns {Promise<Ledger>}
 */
async function fetched(token, days) {
  const since = days === 0 ? "" : `?since=${encodeURIComponent(new Date(Date.now() - days * DAY_MS).toISOString())}`;
  /** @type {Response} */
  let response;
  try {
    response = await fetch(`v1/parley/ledger${since}`, token ? { headers: { Authorization: `Bearer ${token}` } } : {});
  } catch {
    throw new Error(GONE);
  }
  if (response.status === 401) throw new Error(LOCKED);
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.error?.message ?? GONE);
  return told;
}

/**
 * @param {Ledger} ledger
 * @returns {HTMLElement[]}
 */
function account({ currency, total, totals, data, has_more: more }) {
  if (data.length === 0) return [make("p", "Nothing.", "nothing")];
  const money = (/** @type {number} */ cost) =>
    new Intl.NumberFormat(undefined, { style: "currency", currency, maximumSignificantDigits: cost < 0.1 ? 2 : undefined }).format(cost);
  const sums = make("ul", "", "sums");
  for (const each of totals) {
    sums.append(make("li", `${each.host} ${PLACES[each.place] ?? ""}: ${counted(each)}, ${size(each.sent_bytes)}, ${money(each.cost)}`));
  }
  const list = make("ol", "", "entries");
  for (const entry of data) {
    const item = document.createElement("li");
    const when = document.createElement("time");
    when.dateTime = entry.opened_at;
    when.textContent = new Date(entry.opened_at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
    const sent = size(entry.text_bytes + entry.picture_bytes);
    const what = entry.pictures > 0 ? `${sent} with ${some(entry.pictures, "picture")}` : sent;
    const hidden = entry.masked > 0 ? [`${some(entry.masked, "private detail")} hidden`] : [];
    const cost = `${entry.estimated && entry.cost > 0 ? "about " : ""}${money(entry.cost)}`;
    const outcome = entry.outcome in OUTCOMES ? [OUTCOMES[entry.outcome] ?? ""] : [];
    item.append(when, make("b", entry.host), make("span", [what, ...hidden, cost, ...outcome].join(" · ")), make("small", entry.reason));
    list.append(item);
  }
  const all = make("p", `${counted(total)}, ${size(total.sent_bytes)}, ${money(total.cost)} in all.`);
  return [all, sums, list, ...(more ? [make("p", "Older ones: “parley ledger” in a terminal shows them all.")] : [])];
}

/** @param {Total} total */
const counted = (total) => some(total.requests, "request") + (total.pictures > 0 ? ` with ${some(total.pictures, "picture")}` : "");

/** @param {number} count @param {string} what */
const some = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** @param {number} bytes */
const size = (bytes) => (bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${(bytes / 1e3).toPrecision(2)} kB` : `${(bytes / 1e6).toPrecision(2)} MB`);

/**
 * @param {string} kind
 * @param {string} text
 * @param {string} [name] its class
 */
function make(kind, text, name = "") {
  const made = document.createElement(kind);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}
