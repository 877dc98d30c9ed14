// @ts-check
/** Push to talk: by finger or mouse on the button, by the space bar, and by plain clicks for those who can't hold. */

/**
 * @typedef {object} Held
 * @property {() => boolean} wanted whether holding means talking now
 * @property {() => void} began
 * @property {() => void} ended
 */

/**
 * @param {HTMLButtonElement} button
 * @param {Held} held
 */
export function pushToTalk(button, held) {
  let holding = false;
  const begin = () => {
    if (holding || !held.wanted()) return;
    holding = true;
    held.began();
  };
  const end = () => {
    if (!holding) return;
    holding = false;
    held.ended();
  };

  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !held.wanted()) return;
    button.setPointerCapture(event.pointerId);
    begin();
  });
  for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) button.addEventListener(kind, end);
  button.addEventListener("contextmenu", (event) => {
    if (holding) event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    const onButton = event.target === button && event.key === "Enter";
    if ((event.key !== " " && !onButton) || event.ctrlKey || event.altKey || event.metaKey || !held.wanted()) return;
    if (event.target !== button && takesSpace(event.target)) return;
    event.preventDefault();
    if (!event.repeat) begin();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key !== " " && event.key !== "Enter") return;
    if (holding) event.preventDefault(); // the button would take it for a click
    end();
  });
  window.addEventListener("blur", end);

  // A click without pointer or key comes from a screen reader or a switch: the first begins, the second ends.
  button.addEventListener("click", (event) => {
    if (event.detail !== 0 || !held.wanted()) return;
    if (holding) end();
    else begin();
  });
}

/** @param {EventTarget | null} target */
function takesSpace(target) {
  return target instanceof Element && target.closest("input, textarea, select, button, summary, a, dialog") !== null;
}
