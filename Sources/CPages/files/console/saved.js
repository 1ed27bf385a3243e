// Messages that are kept in this browser, for each route.
import { glyph, make, sync } from "./dom.js";

const place = "gateway-console.saved";

function all() {
  try {
    return JSON.parse(localStorage.getItem(place)) ?? [];
  } catch {
    return [];
  }
}

// Answers whether the browser keeps it.
function keep(messages) {
  try {
    localStorage.setItem(place, JSON.stringify(messages));
    return true;
  } catch {
    return false;
  }
}

export class Saved {
  // `part` finds a part of the panel; `route` answers what the messages are for, `load` puts one into the composer,
  // `fail` says why something did not work.
  constructor(part, { route, load, fail }) {
    Object.assign(this, { part, route, load, fail });
    part("saved").addEventListener("toggle", () => this.#show());
    part("save").addEventListener("click", () => this.#save());
    part("savedName").addEventListener("keydown", event => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#save();
    });
  }

  #show() {
    const messages = all().filter(message => message.route === this.route());
    this.part("savedNone").hidden = messages.length > 0;
    sync(this.part("savedList"), messages, message => message.name, message => this.#item(message), () => {});
  }

  #item(message) {
    const load = make("button", { type: "button", className: "quiet", title: message.text },
      make("b", {}, message.name), " ", make("small", { className: "mono" }, message.text.slice(0, 40)));
    const remove = make("button", { type: "button", className: "quiet icon small", "aria-label": `Delete ${message.name}` },
      glyph("close"));
    load.addEventListener("click", () => {
      this.part("saved").open = false;
      this.load(all().find(each => each.name === message.name && each.route === message.route) ?? message);
    });
    remove.addEventListener("click", () => {
      keep(all().filter(each => each.name !== message.name || each.route !== message.route));
      this.#show();
    });
    return make("li", {}, load, remove);
  }

  #save() {
    const text = this.part("text").value, mode = this.part("mode").value, route = this.route();
    if (text === "" || mode === "file") return this.fail("write the message first; files are not saved");
    const name = this.part("savedName").value.trim() || text.slice(0, 24);
    const others = all().filter(each => each.name !== name || each.route !== route);
    if (!keep([...others, { name, route, mode, text }])) return this.fail("this browser keeps nothing for this page");
    this.part("savedName").value = "";
    this.#show();
  }
}
