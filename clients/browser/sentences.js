// @ts-check
/** What can go wrong, as sentences that name the cure. */

/** Something that the person can do something about; its message is for them. */
export class Trouble extends Error {}

/** @param {string} what @param {string} how */
export const insecure = (what, how = "") =>
  `Browsers lend the ${what} only to secure pages. Open this page as https://${how}, or on the server's own machine as http://localhost:${location.port || 80}.`;
/** @param {string} what */
export const forbidden = (what) => `Parley may not use the ${what}. Allow it beside the page's address, then press `;
const AGAIN = "press the button again, or type below.";

export const MICROPHONE = {
  insecure: () => `${insecure("microphone", " (start the server with --tls-self-signed)")} You can type meanwhile.`,
  unplugged: `The microphone went away. Plug it in and ${AGAIN}`,
  /** @param {string} name of the browser's error */
  refused(name) {
    switch (name) {
      case "NotAllowedError":
      case "SecurityError":
        return `${forbidden("microphone")}the button again; or type below.`;
      case "NotFoundError":
      case "OverconstrainedError":
        return `No microphone was found. Plug one in and ${AGAIN}`;
      case "NotReadableError":
      case "AbortError":
        return `The microphone is there but can't be opened: another program may hold it. Close that one and ${AGAIN}`;
      default:
        return "The microphone can't be used in this browser. Try another browser, or type below.";
    }
  },
};

export const LINE = {
  /** @param {string} reason that the server gave */
  busy: (reason) => `${reason || "The server can't take another conversation now."} This page tries by itself.`,
  lost: "The connection to Parley broke off. Trying again…",
  gone: "Parley's server does not answer. Start it with “parley serve”; this page comes back by itself.",
  elsewhere: "This conversation goes on in another window. Press to begin one here.",
  retold: "The server began anew and was told what was said",
};

export const ANSWER = {
  unheard: "Those words could not be understood. Say them again, or type them.",
  short: "Hold the button, or the space bar, for as long as you talk.",
  /** @param {string | undefined} why */
  failed: (why) => `Parley could not answer: ${why ?? "the server's log says why."}`,
};
