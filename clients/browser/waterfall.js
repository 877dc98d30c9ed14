// @ts-check
/** Where the time of a turn went: each moment's bar begins where the one before it ended; 0 is the end of your voice. */

/** @type {Record<string, string>} */
const NAMES = {
  transcript_ms: "Words known",
  first_token_ms: "First word thought",
  first_clause_ms: "First clause ready",
  commit_ms: "Sure you were done",
  bridge_ms: "You are told to wait",
  first_audio_ms: "Speech sent",
  heard_ms: "You hear it",
};

/**
 * @param {HTMLElement} list
 * @param {Record<string, any>} timings a `parley.turn.timings` event, with `heard_ms` of the page's own
 */
export function drawWaterfall(list, timings) {
  const moments = Object.keys(NAMES)
    .filter((key) => typeof timings[key] === "number")
    .map((key) => ({ name: NAMES[key], ms: Math.round(timings[key]) }))
    .sort((one, other) => one.ms - other.ms);
  const first = Math.min(0, ...moments.map(({ ms }) => ms));
  const span = Math.max(1, Math.max(0, ...moments.map(({ ms }) => ms)) - first);
  const share = (/** @type {number} */ ms) => `${((ms - first) / span) * 100}%`;
  list.style.setProperty("--zero", share(0));
  let before = first;
  list.replaceChildren(
    ...moments.map(({ name, ms }) => {
      const row = document.createElement("li");
      const bar = document.createElement("i");
      bar.style.setProperty("--from", share(before));
      bar.style.setProperty("--to", share(ms));
      row.append(text("span", name), bar, text("b", `${ms} ms`));
      before = ms;
      return row;
    }),
  );
}

/**
 * @param {string} kind
 * @param {string} words
 */
function text(kind, words) {
  const found = document.createElement(kind);
  found.textContent = words;
  return found;
}
