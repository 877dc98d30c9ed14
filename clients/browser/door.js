// @ts-check
/** The server's token: where it comes from, how long it is kept, and the dialog that asks for it. */
import { element } from "./element.js";

const KEY = "parley.token";

export class Door {
  constructor() {
    this.token = fromAddress() ?? stored();
    this.dialog = element("door", HTMLDialogElement);
    this.form = element("door-form", HTMLFormElement);
    this.field = element("door-token", HTMLInputElement);
    this.why = element("door-why", HTMLElement);
    element("door-cancel", HTMLButtonElement).addEventListener("click", () => this.dialog.close());
  }

  get known() {
    return this.token !== "";
  }

  /**
   * The server refused: ask for the token.
   * @param {() => void} go what to do with it
   */
  ask(go) {
    this.why.textContent = this.known
      ? "That is not the server's token. It is what PARLEY_TOKEN was set to when the server was started."
      : "This server lets in only who has its token. It is what PARLEY_TOKEN was set to when the server was started.";
    this.form.onsubmit = (event) => {
      event.preventDefault();
      const token = this.field.value.trim();
      if (token === "") return;
      const kept = new FormData(this.form).get("keep") === "device";
      this.token = token;
      keep(token, kept);
      this.field.value = "";
      this.dialog.close();
      go();
    };
    this.dialog.showModal();
  }

  forget() {
    this.token = "";
    keep("", false);
  }
}

/** A token in the address is for this tab; it is taken out of sight, and out of the history. @returns {string | null} */
function fromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return null;
  history.replaceState(null, "", location.pathname + location.search);
  keep(token, false);
  return token;
}

/** @returns {string} */
function stored() {
  try {
    return sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

/**
 * @param {string} token
 * @param {boolean} onDevice rather than until this tab is closed
 */
function keep(token, onDevice) {
  try {
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
    if (token !== "") (onDevice ? localStorage : sessionStorage).setItem(KEY, token);
  } catch {
    // A browser that keeps nothing: the token holds until the page is closed.
  }
}
