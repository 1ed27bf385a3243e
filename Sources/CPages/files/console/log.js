// The messages and events of one connection: a list that is searched, filtered, copied and exported.
import { glyph, make } from "./dom.js";
import { preciseClock } from "./format.js";
import { copyText, hex, hexDump, parseJSON, shownBytes, tree } from "./payload.js";
import { toast } from "./toast.js";

const kept = 1000;
const names = { in: "received", out: "sent", info: "note", error: "error", reload: "reload" };
const arrows = { in: "↓", out: "↑", info: "·", error: "!", reload: "⇄" };

// An entry is { direction, kind, text or payload, note, at }.
export class Log {
  entries = [];
  #queue = [];
  // The reader is at the end and wants to see what comes.
  #follows = true;
  #timer;
  #part;

  // `part` finds a part of the panel; `again` is called with a payload that is to be sent again.
  constructor(part, again) {
    this.#part = part;
    this.again = again;
    part("search").addEventListener("input", () => this.#filter());
    part("search").addEventListener("keydown", event => {
      if (event.key !== "Escape") return;
      event.target.value = "";
      this.#filter();
    });
    part("filter").addEventListener("change", () => this.#filter());
    part("clear").addEventListener("click", () => this.clear());
    part("copy").addEventListener("click", () => this.#copy());
    part("export").addEventListener("click", () => this.#export());
    part("latest").addEventListener("click", () => this.#toEnd());
    part("log").addEventListener("scroll", () => {
      this.#follows = this.#isAtEnd();
      if (this.#follows) part("latest").hidden = true;
    });
    // A keyboard on a phone, or a menu, takes room away.
    new ResizeObserver(() => { if (this.#follows) this.#toEnd(); }).observe(part("log"));
  }

  add(direction, kind, content, note = "") {
    const isText = typeof content === "string";
    this.#queue.push({ direction, kind, note, at: new Date(), text: isText ? content : null, bytes: isText ? null : content });
    if (this.#queue.length > kept) this.#queue.shift();
    // A timer and not a frame: frames stop while the page is in the background.
    this.#timer ??= setTimeout(() => this.#flush(), 16);
  }

  #isAtEnd() {
    const log = this.#part("log");
    return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  }

  #toEnd() {
    const log = this.#part("log");
    log.scrollTop = log.scrollHeight;
    this.#follows = true;
    this.#part("latest").hidden = true;
  }

  #flush() {
    this.#timer = undefined;
    const log = this.#part("log"), { scrollTop } = log;
    const fresh = this.#queue.splice(0);
    for (const entry of fresh) entry.element = this.#element(entry);
    log.append(...fresh.map(entry => entry.element));
    this.entries.push(...fresh);
    for (const old of this.entries.splice(0, Math.max(0, this.entries.length - kept))) old.element.remove();
    this.#filter(fresh);
    if (this.#follows) this.#toEnd();
    else {
      log.scrollTop = scrollTop;
      this.#part("latest").hidden = false;
    }
    this.onflush?.();
  }

  clear() {
    this.entries = [];
    this.#queue = [];
    this.#follows = true;
    this.#part("log").replaceChildren();
    this.#part("latest").hidden = true;
    this.#filter();
  }

  // ---- searching

  #filter(entries = this.entries) {
    const words = this.#part("search").value.toLowerCase(), wanted = this.#part("filter").value;
    for (const entry of entries) {
      const isEvent = entry.direction !== "in" && entry.direction !== "out";
      const fits = wanted === "all" || wanted === entry.direction || wanted === "note" && isEvent;
      entry.element.hidden = !fits || words !== "" && !this.#content(entry).toLowerCase().includes(words);
    }
    const shown = this.entries.filter(entry => !entry.element.hidden).length;
    const isWhole = words === "" && wanted === "all";
    this.#part("shown").textContent = isWhole ? "" : `${shown} of ${this.entries.length}`;
    this.#part("copy").disabled = this.#part("export").disabled = shown === 0;
  }

  #content(entry) { return entry.text ?? hexDump(entry.bytes); }

  #visible() { return this.entries.filter(entry => !entry.element.hidden); }

  // ---- taking along

  async #copy() {
    const entries = this.#visible();
    await this.#copied(entries.map(entry =>
      [preciseClock(entry.at), arrows[entry.direction], this.#content(entry), entry.note].filter(Boolean).join("  ")).join("\n"),
    `${entries.length} entries copied`);
  }

  async #copied(text, said) {
    try {
      await copyText(text);
      toast(said, "", { tone: "good", seconds: 3 });
    } catch (error) {
      toast("Not copied", error.message, { tone: "bad" });
    }
  }

  // A line of JSON for each entry.
  #export() {
    const lines = this.#visible().map(entry => JSON.stringify({
      time: entry.at.toISOString(), event: names[entry.direction], kind: entry.kind,
      ...(entry.text === null ? { hex: hex(entry.bytes) } : { text: entry.text }), note: entry.note || undefined,
    }));
    const file = URL.createObjectURL(new Blob([lines.map(line => `${line}\n`).join("")], { type: "application/jsonl" }));
    const link = make("a", { href: file, download: `gateway-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.jsonl` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(file), 1000);
  }

  // ---- one entry

  #element(entry) {
    const element = make("div", { className: "entry", dataset: { direction: entry.direction, kind: entry.kind } });
    const arrow = make("i", { title: names[entry.direction], role: "img", "aria-label": names[entry.direction] },
      arrows[entry.direction]);
    const content = this.#content(entry), isCut = entry.text !== null && content.length > shownBytes;
    const text = make("pre", {}, isCut ? `${content.slice(0, shownBytes)}…` : content);
    element.append(make("time", { dateTime: entry.at.toISOString() }, preciseClock(entry.at)), arrow, text,
      make("small", {}, entry.note), this.#tools(entry, text, isCut));
    return element;
  }

  #tools(entry, text, isCut) {
    const tools = make("span", { className: "tools" });
    const isMessage = entry.direction === "in" || entry.direction === "out";
    if (!isMessage) return tools;
    const button = (label, content, action) => {
      const made = make("button", { type: "button", className: "quiet icon small", title: label, "aria-label": label }, content);
      made.addEventListener("click", action);
      tools.append(made);
      return made;
    };
    const value = parseJSON(entry.text);
    if (value !== undefined) {
      const fold = button("Show as a tree", "{ }", () => {
        const isTree = fold.getAttribute("aria-pressed") === "true";
        fold.setAttribute("aria-pressed", !isTree);
        text.hidden = !isTree;
        if (isTree) text.nextElementSibling.remove();
        else text.after(make("div", { className: "json" }, tree(value)));
      });
      fold.setAttribute("aria-pressed", "false");
    } else if (isCut) {
      const whole = button("Show all of it", "…", () => {
        text.textContent = entry.text;
        whole.remove();
      });
    }
    button("Copy", glyph("copy"), () => this.#copied(entry.text ?? hex(entry.bytes), "Copied"));
    if (entry.direction === "out") button("Send again", glyph("again"), () => this.again(entry.text ?? entry.bytes));
    return tools;
  }
}
