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
    /** How much of `words` was heard; null where nobody says, and for what the person said. @type {number | null} */
    this.heard = null;
    this.row = document.createElement("li");
    this.row.className = role;
    this.row.dataset.item = id;
    this.who = document.createElement("span");
    this.who.className = "who";
    this.who.textContent = role === "user" ? "You" : "Parley";
    this.said = document.createElement("p");
    this.rest = document.createElement("span");
    this.note = document.createElement("small");
    this.row.append(this.who, this.said, this.note);
    this.show();
  }

  show() {
    let at = this.heard ?? this.words.length;
    while (this.words[at] === " ") at += 1;
    this.rest.textContent = this.words.slice(at);
    this.rest.className = this.final ? "unheard" : "coming";
    this.said.replaceChildren(this.words.slice(0, at), ...(this.rest.textContent ? [this.rest] : []));
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

  /** @returns {{role: Role, words: string}[]} what was said and heard, to be told to a server that knows nothing of it */
  get said() {
    return [...this.entries.values()]
      .map(({ role, words, heard }) => ({ role, words: words.slice(0, heard ?? words.length).trim() }))
      .filter(({ words }) => words !== "");
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
    entry.heard = null;
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
   * So much of the assistant's message has been heard by now; the rest stands there in grey.
   * @param {string} id
   * @param {string} heard
   */
  follow(id, heard) {
    const entry = this.entries.get(id);
    if (!entry || entry.final) return;
    entry.heard = placeOf(entry.words, heard);
    entry.show();
  }

  /**
   * Of the assistant's message only the beginning was heard: the rest is struck off.
   * @param {string} id
   * @param {string} heard
   */
  cut(id, heard) {
    const entry = this.entries.get(id);
    if (!entry) return;
    entry.words = entry.words.trim();
    entry.heard = placeOf(entry.words, heard);
    const again = entry.final;
    entry.final = true;
    this.keepingToTheEnd(() => {
      entry.show();
      entry.row.classList.remove("waiting");
      entry.row.classList.add("cut");
      if (!entry.note.textContent) entry.note.textContent = "You cut in";
    });
    if (!again) this.announce(entry);
  }

  /**
   * Words before the answer that are no part of it.
   * @param {string} id
   * @param {string} words
   */
  remark(id, words) {
    const remark = document.createElement("small");
    remark.textContent = words;
    const { said } = this.entry(id, "assistant");
    this.keepingToTheEnd(() => said.before(remark));
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

  /** The connection is gone for good: what stands there stays, as far as it was heard; empty messages go. */
  settle() {
    for (const entry of [...this.entries.values()]) {
      if (entry.final) continue;
      if (entry.heard === null) this.close(entry.id);
      else this.cut(entry.id, entry.words.slice(0, entry.heard));
    }
  }

  /** @param {string} words */
  separate(words) {
    if (this.empty || this.list.lastElementChild?.className === "break") return;
    const row = document.createElement("li");
    row.className = "break";
    row.textContent = words;
    this.keepingToTheEnd(() => this.list.append(row));
  }

  /**
   * Something that happened, and that nobody said.
   * @param {string} words
   * @param {string} more
   */
  notice(words, more = "") {
    const row = document.createElement("li");
    row.className = "notice";
    row.append(words, document.createElement("small"));
    /** @type {HTMLElement} */ (row.lastElementChild).textContent = more;
    this.keepingToTheEnd(() => this.list.append(row));
    this.tell(`${words} ${more}`);
  }

  /** @param {Entry} entry */
  announce(entry) {
    this.tell(`${entry.who.textContent}: ${entry.words.slice(0, entry.heard ?? entry.words.length)}`);
  }

  /** @param {string} words */
  tell(words) {
    const line = document.createElement("p");
    line.textContent = words;
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

/**
 * Where the heard words end. Word by word: the white space between sentences may differ.
 * @param {string} words
 * @param {string} heard
 * @returns {number}
 */
function placeOf(words, heard) {
  const count = heard.split(/\s+/).filter(Boolean).length;
  let at = 0;
  for (let word = 0; word < count; word++) {
    const next = /\S+/g;
    next.lastIndex = at;
    const found = next.exec(words);
    if (!found) return words.length;
    at = found.index + found[0].length;
  }
  return at;
}
