// @ts-check
/** What was said, on the page: one entry a message, in the order of the conversation. */

/** @typedef {"user" | "assistant"} Role */

class Entry {
  /**
   * @param {string} id
   * @param {Role} role
   */
  constructor(id, role) {
    this.id = id;
    this.role = role;
    this.words = "";
    this.final = false;
    this.row = document.createElement("li");
    this.row.className = role;
    this.row.dataset.item = id;
    this.who = document.createElement("span");
    this.who.className = "who";
    this.who.textContent = role === "user" ? "You" : "Parley";
    this.said = document.createElement("p");
    this.note = document.createElement("small");
    this.row.append(this.who, this.said, this.note);
    this.show();
  }

  show() {
    this.said.textContent = this.words;
    this.row.classList.toggle("partial", !this.final && this.role === "user");
    this.row.classList.toggle("waiting", this.words === "");
  }
}

export class Transcript {
  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} announcer a polite live region: it gets what is final, so that nobody hears words twice
   */
  constructor(list, announcer) {
    this.list = list;
    this.announcer = announcer;
    /** @type {Map<string, Entry>} */
    this.entries = new Map();
  }

  get empty() {
    return this.entries.size === 0;
  }

  /**
   * @param {string} id
   * @param {Role} role
   * @returns {Entry}
   */
  entry(id, role) {
    const known = this.entries.get(id);
    if (known) return known;
    const entry = new Entry(id, role);
    this.entries.set(id, entry);
    this.keepingToTheEnd(() => this.list.append(entry.row));
    return entry;
  }

  /**
   * More words of a message.
   * @param {string} id
   * @param {Role} role
   * @param {string} words
   */
  add(id, role, words) {
    const entry = this.entry(id, role);
    if (entry.final) return;
    entry.words += words;
    this.keepingToTheEnd(() => entry.show());
  }

  /**
   * All the words of a message; one without words goes away.
   * @param {string} id
   * @param {Role} role
   * @param {string} words
   */
  complete(id, role, words) {
    if (words.trim() === "") {
      this.remove(id);
      return;
    }
    const entry = this.entry(id, role);
    entry.words = words.trim();
    entry.final = true;
    this.keepingToTheEnd(() => entry.show());
    this.announce(entry);
  }

  /**
   * The message is over as it stands.
   * @param {string} id
   */
  close(id) {
    const entry = this.entries.get(id);
    if (!entry || entry.final) return;
    this.complete(id, entry.role, entry.words);
  }

  /**
   * Of the assistant's message only the beginning was heard: the rest fades.
   * @param {string} id
   * @param {string} heard
   */
  cut(id, heard) {
    const entry = this.entries.get(id);
    if (!entry) return;
    entry.final = true;
    const full = entry.words.trim();
    const known = heard.trim();
    const at = full.startsWith(known) ? known.length : 0;
    const rest = document.createElement("span");
    rest.className = "unheard";
    rest.textContent = full.slice(at);
    this.keepingToTheEnd(() => {
      entry.said.replaceChildren(full.slice(0, at), rest);
      entry.row.classList.remove("waiting");
      entry.row.classList.add("cut");
      if (!entry.note.textContent) entry.note.textContent = "You cut in";
    });
  }

  /**
   * @param {string} id
   * @param {string} note
   * @param {string} title what exactly the note says
   */
  annotate(id, note, title) {
    const entry = this.entries.get(id);
    if (!entry) return;
    entry.note.textContent = note;
    entry.note.title = title;
  }

  /** @param {string} id */
  remove(id) {
    this.entries.get(id)?.row.remove();
    this.entries.delete(id);
  }

  /** Messages that nobody will complete any more: words without an end stay, empty ones go. */
  settle() {
    for (const entry of [...this.entries.values()]) this.close(entry.id);
  }

  /** @param {string} words */
  separate(words) {
    if (this.empty || this.list.lastElementChild?.className === "break") return;
    const row = document.createElement("li");
    row.className = "break";
    row.textContent = words;
    this.keepingToTheEnd(() => this.list.append(row));
  }

  /** @param {Entry} entry */
  announce(entry) {
    const line = document.createElement("p");
    line.textContent = `${entry.who.textContent}: ${entry.words}`;
    this.announcer.append(line);
    while (this.announcer.children.length > 4) this.announcer.firstElementChild?.remove();
  }

  /**
   * Change the list, and stay at its end if the reader was there.
   * @param {() => void} change
   */
  keepingToTheEnd(change) {
    const box = this.list;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
    change();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }
}
