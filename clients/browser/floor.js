// @ts-check
/** Who has the floor, from what is known; and how that is said. */

/** @typedef {"idle" | "connecting" | "ready" | "listening" | "waiting" | "muted" | "hearing" | "thinking" | "speaking" | "stopped"} State */
/**
 * @typedef {object} Facts
 * @property {boolean} active the person wants a conversation: pressed the button, or typed
 * @property {boolean} stopped it was ended by the person
 * @property {boolean} linked there is a conversation with the server
 * @property {boolean} hearing someone is being heard
 * @property {boolean} sounding there is sound that was not yet played
 * @property {boolean} awaiting an utterance or a typed turn waits for its answer, or the answer has begun
 * @property {"none" | "open" | "muted" | "held" | "released"} microphone held and released: push to talk
 */

/** @type {Record<State, {words: string, action: string}>} */
export const SAID = {
  idle: { words: "Press to talk", action: "Start talking" },
  connecting: { words: "Connecting…", action: "Connecting" },
  ready: { words: "Type below, or press to talk", action: "Start talking" },
  listening: { words: "Listening", action: "Mute the microphone" },
  waiting: { words: "Hold to talk", action: "Hold to talk" },
  muted: { words: "You are muted", action: "Unmute the microphone" },
  hearing: { words: "Hearing you", action: "Mute the microphone" },
  thinking: { words: "Thinking", action: "Stop the answer" },
  speaking: { words: "Speaking", action: "Stop the answer" },
  stopped: { words: "Ended. Press to talk again", action: "Start talking again" },
};

/**
 * @param {Facts} facts
 * @returns {State}
 */
export function floorOf(facts) {
  if (!facts.active) return facts.stopped ? "stopped" : "idle";
  if (!facts.linked) return "connecting";
  if (facts.hearing || facts.microphone === "held") return "hearing";
  if (facts.sounding) return "speaking";
  if (facts.awaiting) return "thinking";
  switch (facts.microphone) {
    case "none":
      return "ready";
    case "muted":
      return "muted";
    case "released":
      return "waiting";
    case "open":
      return "listening";
  }
}
