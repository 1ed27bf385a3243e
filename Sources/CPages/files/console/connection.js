// One connection: a tab, a panel, a WebSocket.
import { byId, fromTemplate, glyph, make, mark, sync, write } from "./dom.js";
import { age, plural } from "./format.js";
import { Log } from "./log.js";
import { byteCount, lengthOf, parseHex, same } from "./payload.js";
import { Generation, routeOf } from "./reloads.js";
import { Saved } from "./saved.js";

const keptPending = 2000, highWater = 4 << 20, keptTrips = 200, slice = 500, burst = 20;
const firstPause = 500, longestPause = 10000;
const codes = {
  1000: "normal", 1001: "going away", 1002: "protocol error", 1005: "no code", 1006: "broken, no Close came",
  1007: "not UTF-8", 1008: "policy", 1009: "too big", 1011: "the handler failed",
  1012: "service restart: its handler was replaced", 1013: "try again later",
};
const tones = { open: "good", connecting: "warn", closing: "warn", closed: "off" };
export const socketOrigin = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}`;
let numbered = 0;

export class Connection {
  id = ++numbered;
  state = "closed";
  unread = 0;
  generation = null;
  #sent = { messages: 0, bytes: 0 };
  #received = { messages: 0, bytes: 0 };
  #pending = [];
  #trips = [];
  #history = [];
  #recall = 0;
  #pause = firstPause;
  #sentAt = -Infinity;

  // `owner` has routes(), select(connection), changed(connection), leave(connection).
  constructor(path, owner) {
    this.owner = owner;
    this.panel = fromTemplate("panelTemplate");
    this.panel.id = `panel${this.id}`;
    this.panel.dataset.connection = this.id;
    this.frame = fromTemplate("tabTemplate");
    this.tab = this.frame.querySelector("[role=tab]");
    Object.assign(this.tab, { id: `tab${this.id}` });
    this.tab.dataset.connection = this.id;
    this.tab.setAttribute("aria-controls", this.panel.id);
    this.panel.setAttribute("aria-labelledby", this.tab.id);
    this.frame.querySelector("[data-part=close]").append(glyph("close"));
    this.part("path").value = path;
    byId("tabs").append(this.frame);
    byId("panels").append(this.panel);
    this.log = new Log(role => this.part(role), payload => this.#sendAgain(payload));
    this.log.onflush = () => this.#showFigures();
    this.saved = new Saved(role => this.part(role), {
      route: () => this.route()?.pattern ?? this.part("path").value,
      load: message => this.#load(message), fail: text => this.log.add("error", "note", text),
    });
    this.#listen();
    this.#show("closed");
  }

  part(role) { return this.panel.querySelector(`[data-role="${role}"]`); }
  route() { return routeOf(this.part("path").value, this.owner.routes()); }
  get isOpen() { return this.state === "open"; }

  #listen() {
    const submit = (role, action) => this.part(role).addEventListener("submit", event => {
      event.preventDefault();
      action();
    });
    const click = (role, action) => this.part(role).addEventListener("click", action);
    submit("connectForm", () => this.connect());
    submit("sendForm", () => this.send());
    click("disconnect", () => this.close());
    click("close", () => this.#closeWith());
    this.part("mode").addEventListener("change", () => this.#showMode());
    this.part("text").addEventListener("keydown", event => this.#key(event));
    for (const role of ["saved", "closing"]) this.#closeMenuOutside(this.part(role));
    this.tab.addEventListener("click", () => this.owner.select(this));
    this.tab.addEventListener("auxclick", event => { if (event.button === 1) this.owner.leave(this); });
    this.frame.querySelector("[data-part=close]").addEventListener("click", () => this.owner.leave(this));
  }

  #closeMenuOutside(menu) {
    menu.addEventListener("keydown", event => {
      if (event.key !== "Escape" || !menu.open) return;
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    this.onPress = event => {
      for (const role of ["saved", "closing"]) {
        if (!this.part(role).contains(event.target)) this.part(role).open = false;
      }
    };
    document.addEventListener("pointerdown", this.onPress);
  }

  // ---- what is shown

  #show(state) {
    this.state = state;
    const status = this.part("status"), isClosed = state === "closed", title = this.part("path").value;
    write(status, state);
    mark(status, "state", state);
    mark(status, "tone", tones[state]);
    mark(this.frame, "state", state);
    write(this.frame.querySelector("[data-part=title]"), title);
    this.tab.setAttribute("aria-label", `${title}, connection ${this.id}, ${state}`);
    this.frame.querySelector("[data-part=close]").setAttribute("aria-label", `Close the tab of ${title}, connection ${this.id}`);
    this.part("send").disabled = !this.isOpen;
    this.part("close").disabled = this.part("disconnect").disabled = isClosed || state === "closing";
    this.part("connect").disabled = this.part("path").disabled = this.part("protocols").disabled = !isClosed;
    this.part("connect").hidden = !isClosed;
    this.part("disconnect").hidden = isClosed;
    write(this.part("connect"), this.wasOpen ? "Reconnect" : "Connect");
    this.showFacts();
    this.owner.changed(this);
  }

  // Called each second, too: times go on.
  showFacts() {
    const facts = [];
    if (this.isOpen) {
      facts.push(["age", `open for ${age(performance.now() - this.openedAt)}`]);
      if (this.generation?.known) facts.push(["generation", `generation ${this.generation.known}`]);
      facts.push(["handshake", `handshake ${this.handshake.toFixed(1)} ms`]);
      if (this.socket.protocol) facts.push(["protocol", `subprotocol ${this.socket.protocol}`]);
      if (this.socket.extensions) facts.push(["extensions", this.socket.extensions.split(";")[0]]);
      if (this.moves) facts.push(["moves", `survived ${plural(this.moves, "reload")}`]);
    } else if (this.retryAt) {
      facts.push(["retry", `tried again in ${Math.max(0, Math.ceil((this.retryAt - performance.now()) / 1000))} s`]);
    }
    sync(this.part("facts"), facts, ([name]) => name, ([name]) => make("li", { className: "chip", dataset: { fact: name } }),
      (item, [name, text]) => {
        item.classList.toggle("accent", name === "generation" || name === "moves");
        write(item, text);
      });
  }

  #showFigures() {
    const trips = this.#trips, middle = trips.toSorted((a, b) => a - b)[Math.floor(trips.length / 2)];
    const [sent, received] = [this.#sent, this.#received];
    write(this.part("stats"), `sent ${sent.messages} (${byteCount(sent.bytes)}), received ${received.messages}`
      + ` (${byteCount(received.bytes)})`
      + (trips.length ? `, echo after ${trips.at(-1).toFixed(1)} ms, median ${middle.toFixed(1)} ms of ${trips.length}` : ""));
  }

  #showMode() {
    const mode = this.part("mode").value, text = this.part("text");
    this.part("file").hidden = mode !== "file";
    text.hidden = mode === "file";
    text.placeholder = mode === "hex" ? "48 65 6c 6c 6f" : "Message";
  }

  // ---- connecting

  connect() {
    clearTimeout(this.retry);
    this.retryAt = null;
    const path = this.part("path").value, offered = this.part("protocols").value.split(/[\s,]+/).filter(Boolean);
    this.#pending = [];
    this.isRefused = true;
    const asked = performance.now();
    let socket;
    try {
      socket = new WebSocket(socketOrigin + (path.startsWith("/") ? path : `/${path}`), offered);
    } catch (error) {
      this.log.add("error", "note", error.message);
      return this.#show("closed");
    }
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#opened(performance.now() - asked);
    socket.onmessage = event => this.#receive(event.data);
    socket.onclose = event => this.#closed(event);
    this.socket = socket;
    this.log.add("info", "note", `connecting to ${socket.url}`);
    this.#show("connecting");
  }

  #opened(handshake) {
    this.handshake = handshake;
    this.openedAt = performance.now();
    this.wasOpen = true;
    this.isRefused = false;
    this.moves = 0;
    this.#pause = firstPause;
    this.generation = new Generation(this.openedAt);
    const spoken = this.socket.protocol ? `, subprotocol ${this.socket.protocol}` : "";
    this.log.add("info", "note", `open after ${handshake.toFixed(1)} ms${spoken}`);
    this.#show("open");
    if (this.owner.isSelected(this)) this.part("text").focus();
  }

  #closed(event) {
    const lived = this.isRefused ? "" : ` after ${age(performance.now() - this.openedAt)}`;
    this.generation = null;
    const name = codes[event.code] ? ` (${codes[event.code]})` : "", reason = event.reason ? ` "${event.reason}"` : "";
    this.log.add(event.wasClean ? "info" : "error", "close",
      `closed ${event.code}${name}${reason}, ${event.wasClean ? "clean" : "not clean"}${lived}`);
    this.#show("closed");
    if (this.isRefused) this.#explain();
    if (this.part("keep").checked && !this.isLeaving) this.#retryLater();
    this.isLeaving = false;
  }

  #retryLater() {
    const pause = this.#pause * (0.75 + Math.random() / 2);
    this.#pause = Math.min(this.#pause * 2, longestPause);
    this.retryAt = performance.now() + pause;
    this.retry = setTimeout(() => { if (this.state === "closed") this.connect(); }, pause);
    this.showFacts();
  }

  // Pages are not told why a handshake failed; the gateway answers a plain GET with the same refusal.
  async #explain() {
    try {
      const answer = await fetch(new URL(this.socket.url.replace(/^ws/, "http")), { cache: "no-store" });
      const word = (await answer.text()).slice(0, 200).trim();
      if (answer.status >= 400) this.log.add("error", "note", `a plain GET here answers ${answer.status}: ${word}`);
    } catch (error) {
      this.log.add("error", "note", `the gateway does not answer: ${error.message}`);
    }
  }

  close(code, reason) {
    try {
      if (code === undefined) this.socket.close();
      else this.socket.close(code, reason);
      this.isLeaving = true;
      this.#show("closing");
    } catch (error) {
      this.log.add("error", "note", `a page may close with 1000 or 3000 to 4999: ${error.message}`);
    }
  }

  #closeWith() {
    const code = this.part("code").value;
    this.part("closing").open = false;
    this.close(code === "" ? 1000 : Number(code), this.part("reason").value);
  }

  // ---- reloads

  // The routes are known anew; answers what has become of this connection, if anything.
  learn(askedAt) {
    if (!this.isOpen) return null;
    const news = this.generation.learn(this.route(), askedAt);
    if (news?.kind === "moved") {
      this.moves += 1;
      this.log.add("reload", "moved", `reloaded: generation ${news.from} → ${news.to}. This connection moved while it was open.`);
    } else if (news) {
      this.log.add("reload", "waiting", `generation ${news.to} serves new connections. ${plural(news.left, "connection")} of`
        + ` this route ${news.left === 1 ? "is" : "are"} still with an older one, perhaps this one.`);
    }
    this.showFacts();
    return news;
  }

  // ---- messages

  async send() {
    const mode = this.part("mode").value, text = this.part("text").value;
    const count = Math.min(Math.max(Math.trunc(Number(this.part("count").value)) || 1, 1), 100000);
    try {
      let payload = text;
      if (mode === "hex") payload = parseHex(text);
      if (mode === "file") {
        const file = this.part("file").files[0];
        if (!file) throw new Error("choose a file first");
        payload = new Uint8Array(await file.arrayBuffer());
      } else {
        this.#history.push(text);
        this.#recall = this.#history.length;
      }
      if (mode === "text") this.part("text").value = "";
      this.#repeat(this.socket, payload, 0, count);
    } catch (error) {
      this.log.add("error", "note", error.message);
    }
  }

  #sendAgain(payload) {
    if (this.isOpen) this.#transmit(this.socket, payload);
    else this.log.add("error", "note", "connect first");
  }

  // In slices, so that the page stays alive and the browser's own queue stays small.
  #repeat(socket, payload, from, count) {
    let n = from;
    for (; n < count && n < from + slice && socket.bufferedAmount < highWater; n += 1) {
      if (socket.readyState !== WebSocket.OPEN) return;
      const isNumbered = typeof payload === "string" && count > 1;
      this.#transmit(socket, isNumbered ? payload.replaceAll("{n}", n + 1) : payload);
    }
    if (n < count) setTimeout(() => this.#repeat(socket, payload, n, count), 0);
  }

  #transmit(socket, payload) {
    socket.send(payload);
    this.#sent.messages += 1;
    this.#sent.bytes += lengthOf(payload);
    // Of many at once each waits for those before it, and for this page: that would be no time of the gateway's.
    const at = performance.now(), isAlone = at - this.#sentAt > burst;
    this.#sentAt = at;
    if (this.#pending.length < keptPending) this.#pending.push({ payload, at, isAlone });
    this.#logPayload("out", payload);
  }

  #receive(data) {
    const payload = typeof data === "string" ? data : new Uint8Array(data);
    this.#received.messages += 1;
    this.#received.bytes += lengthOf(payload);
    this.#logPayload("in", payload, this.#roundTrip(payload));
    if (this.owner.isSelected(this)) return;
    this.unread += 1;
    write(this.frame.querySelector("[data-part=unread]"), this.unread);
  }

  // Time since the oldest equal message went out; null when nothing equal is on its way, or it went out among others.
  #roundTrip(payload) {
    const found = this.#pending.findIndex(sent => same(sent.payload, payload));
    if (found < 0) return null;
    const { at, isAlone } = this.#pending[found], trip = performance.now() - at;
    this.#pending.splice(0, found + 1);
    if (!isAlone) return null;
    this.#trips.push(trip);
    if (this.#trips.length > keptTrips) this.#trips.shift();
    return trip;
  }

  #logPayload(direction, payload, trip = null) {
    const kind = typeof payload === "string" ? "text" : "binary";
    this.log.add(direction, kind, payload,
      `${kind} ${byteCount(lengthOf(payload))}${trip === null ? "" : `, echo after ${trip.toFixed(1)} ms`}`);
  }

  #load({ mode, text }) {
    this.part("mode").value = mode;
    this.#showMode();
    this.part("text").value = text;
    this.part("text").focus();
  }

  #key(event) {
    const text = this.part("text"), step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!this.part("send").disabled) this.part("sendForm").requestSubmit();
    } else if (step && (text.value === "" || text.value === this.#history[this.#recall])) {
      event.preventDefault();
      this.#recall = Math.min(Math.max(this.#recall + step, 0), this.#history.length);
      text.value = this.#history[this.#recall] ?? "";
    }
  }

  dispose() {
    clearTimeout(this.retry);
    document.removeEventListener("pointerdown", this.onPress);
    this.part("keep").checked = false;
    this.socket?.close();
    this.frame.remove();
    this.panel.remove();
  }
}
