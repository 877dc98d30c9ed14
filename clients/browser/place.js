// @ts-check
/** Where an answer was made, and what left the machine for it: as the server says, turn by turn. */

/** @typedef {"machine" | "lan" | "cloud"} Where */
/** @typedef {{where: Where, by: string, why: string, left: {what: string, to: string}[]}} Place */

const LOOPBACK = /^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/;

/** @type {Record<Where, string>} */
const WHERE = { machine: "on this machine", lan: "in your network", cloud: "in the cloud" };

export const onThisMachine = LOOPBACK.test(location.hostname);

/**
 * @param {Record<string, any>} timings a `parley.turn.timings` event
 * @returns {Place | null} null when the server doesn't say
 */
export function placeOf(timings) {
  const where = timings.made_on;
  if (where !== "machine" && where !== "lan" && where !== "cloud") return null;
  return { where, by: timings.made_by ?? "", why: timings.reason ?? "", left: timings.left_machine ?? [] };
}

/**
 * @param {Place} place
 * @returns {string} such as "on this machine"
 */
export function nameOf(place) {
  return place.where === "machine" && !onThisMachine ? `on ${location.hostname}` : WHERE[place.where];
}

/**
 * @param {Place} place
 * @returns {string} what left the machine, as a sentence
 */
export function leftOf(place) {
  const away = place.left.map(({ what, to }) => `${what === "picture" ? "a picture" : what} to ${to}`);
  if (away.length > 0) return `What left ${onThisMachine ? "this machine" : location.hostname}: ${away.join(", ")}.`;
  return onThisMachine ? "Nothing left this machine." : `What you said and showed went to ${location.hostname}, and no further.`;
}
