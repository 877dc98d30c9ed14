// @ts-check
/** The page's end of the line to the server; the other end is line-worker.js. */

/** @typedef {import("./link.js").Order} Order */
/** @typedef {import("./link.js").Report} Report */
/** @typedef {import("./outbox.js").Message} Message */

const TICKET = "parley.ticket";

export class Line {
  /** @param {(report: Report) => void} take */
  constructor(take) {
    this.worker = new Worker(new URL("line-worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => {
      if (data.call !== this.call || !this.wanted) return;
      if (data.is === "open") this.ready = true;
      if (data.is === "down") this.ready = false;
      if (data.is === "ticket") keep(data.ticket);
      take(data);
    };
    this.call = 0;
    this.wanted = false;
    /** There is a conversation. */
    this.ready = false;
    this.url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/realtime`;
  }

  /**
   * @param {string} token "" where none is needed
   * @param {string | null} ticket of the conversation to go on with
   */
  open(token, ticket = null) {
    if (this.wanted) return;
    this.wanted = true;
    this.call += 1;
    this.order({ do: "open", call: this.call, url: this.url, token, ticket });
  }

  /** Hang up: the conversation is over. */
  close() {
    this.ready = false;
    this.wanted = false;
    keep(null);
    this.order({ do: "close" });
  }

  /** @param {Message} message */
  send(message) {
    this.order({ do: "send", message });
  }

  /** Stop the answer's sound at once. */
  silence() {
    this.order({ do: "silence" });
  }

  /** Let the camera's pictures out, or none any more from now on. @param {boolean} on */
  look(on) {
    this.order({ do: "look", on });
  }

  /** @param {"microphone" | "speaker" | "camera"} what @returns {MessagePort} its end of a wire into the line */
  port(what) {
    const { port1, port2 } = new MessageChannel();
    this.order({ do: what, port: port1 }, [port1]);
    return port2;
  }

  /**
   * @param {Order} order
   * @param {Transferable[]} transfer
   */
  order(order, transfer = []) {
    this.worker.postMessage(order, transfer);
  }
}

/** @returns {string | null} of the conversation that this tab had before it was reloaded */
export function ticketOfThisTab() {
  try {
    return sessionStorage.getItem(TICKET);
  } catch {
    return null;
  }
}

/** @param {string | null} ticket */
function keep(ticket) {
  try {
    if (ticket === null) sessionStorage.removeItem(TICKET);
    else sessionStorage.setItem(TICKET, ticket);
  } catch {
    // A browser that keeps nothing: a reload then begins anew.
  }
}
