extension ConsolePage {
    /// The console's behaviour. What peers send is shown through `textContent` only, so it is never markup.
    static let script = #"""
        "use strict";
        const shownBytes = 2048, keptEntries = 1000, keptPending = 2000, highWater = 4 << 20;
        const byId = id => document.getElementById(id);
        const make = (tag, text, more) => Object.assign(document.createElement(tag), { textContent: text }, more);
        const routes = JSON.parse(byId("routes-data").textContent);
        const socketOrigin = (location.protocol === "https:" ? "wss://" : "ws://") + location.host;
        const connections = [];
        let numbered = 0, selected = null;

        // ---- values
        const byteCount = n => n + (n === 1 ? " byte" : " bytes");
        const utf8Length = text => new TextEncoder().encode(text).length;
        const equalBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
        const same = (a, b) => typeof a === "string" || typeof b === "string" ? a === b : equalBytes(a, b);
        function hexDump(bytes) {
          const lines = [];
          for (let at = 0; at < Math.min(bytes.length, shownBytes / 4); at += 16) {
            const row = Array.from(bytes.subarray(at, at + 16));
            const ascii = row.map(byte => byte > 31 && byte < 127 ? String.fromCharCode(byte) : "·").join("");
            lines.push(row.map(byte => byte.toString(16).padStart(2, "0")).join(" ").padEnd(49) + ascii);
          }
          return lines.join("\n") + (bytes.length > shownBytes / 4 ? "\n…" : "");
        }
        function parseHex(text) {
          const digits = text.replace(/0x/gi, "").replace(/[\s,:;_-]/g, "");
          if (/[^0-9a-f]/i.test(digits)) throw new Error("hex is 0-9 and a-f; spaces may stand between bytes");
          if (digits.length % 2) throw new Error("hex needs two digits for each byte");
          return Uint8Array.from(digits.match(/../g) || [], pair => parseInt(pair, 16));
        }
        const encodePath = text => text.split("/").map(encodeURIComponent).join("/");

        // ---- one connection: a tab, a panel, a WebSocket
        class Connection {
          constructor(path) {
            this.id = ++numbered;
            this.sent = this.received = this.sentBytes = this.receivedBytes = this.unread = 0;
            this.pending = [];
            this.trips = { last: 0, total: 0, count: 0 };
            this.history = [];
            this.recall = 0;
            this.queue = [];
            this.build(path);
          }
          part(role) { return this.panel.querySelector(`[data-role="${role}"]`); }
          build(path) {
            this.panel = byId("panelTemplate").content.firstElementChild.cloneNode(true);
            this.panel.id = "panel" + this.id;
            this.panel.dataset.connection = this.id;
            this.tab = make("button", "", { id: "tab" + this.id, type: "button" });
            this.title = make("span", path);
            this.badge = make("span", "", { className: "unread" });
            this.tab.append(this.title, this.badge);
            this.tab.dataset.connection = this.id;
            this.tab.setAttribute("role", "tab");
            this.tab.setAttribute("aria-controls", this.panel.id);
            this.panel.setAttribute("aria-labelledby", this.tab.id);
            this.part("path").value = path;
            byId("tabs").append(this.tab);
            byId("panels").append(this.panel);
            this.listen();
            this.show("closed");
          }
          listen() {
            const submit = (role, action) => this.part(role).addEventListener("submit", event => {
              event.preventDefault();
              action();
            });
            submit("connectForm", () => this.connect());
            submit("sendForm", () => this.send());
            submit("closeForm", () => this.close());
            this.part("clear").addEventListener("click", () => this.part("log").replaceChildren());
            this.part("mode").addEventListener("change", () => this.showMode());
            this.part("text").addEventListener("keydown", event => this.key(event));
            this.tab.addEventListener("click", () => select(this));
            this.tab.addEventListener("keydown", event => tabKey(this, event));
          }
          show(state) {
            const status = this.part("status"), open = state === "open";
            status.textContent = state;
            status.dataset.state = this.tab.dataset.state = state;
            this.tab.setAttribute("aria-label", `${this.title.textContent}, connection ${this.id}, ${state}`);
            this.part("send").disabled = !open;
            this.part("close").disabled = state === "closed" || state === "closing";
            this.part("connect").disabled = this.part("path").disabled = state !== "closed";
          }
          showMode() {
            const mode = this.part("mode").value, text = this.part("text");
            this.part("file").hidden = mode !== "file";
            text.hidden = mode === "file";
            text.placeholder = mode === "hex" ? "48 65 6c 6c 6f" : "Message";
          }

          connect() {
            const path = this.part("path").value, offered = byId("protocols").value.split(/[\s,]+/).filter(Boolean);
            this.title.textContent = path;
            this.pending = [];
            this.wasOpen = false;
            this.asked = performance.now();
            let socket;
            try {
              socket = new WebSocket(socketOrigin + (path.startsWith("/") ? path : "/" + path), offered);
            } catch (error) {
              this.log("error", "note", error.message);
              return this.show("closed");
            }
            socket.binaryType = "arraybuffer";
            socket.onopen = () => this.opened();
            socket.onmessage = event => this.receive(event.data);
            socket.onclose = event => this.closed(event);
            this.socket = socket;
            this.log("info", "note", "connecting to " + socket.url);
            this.show("connecting");
          }
          opened() {
            this.wasOpen = true;
            const spoken = this.socket.protocol ? ", subprotocol " + this.socket.protocol : "";
            this.log("info", "note", `open after ${(performance.now() - this.asked).toFixed(1)} ms${spoken}`);
            this.show("open");
            if (selected === this) this.part("text").focus();
          }
          closed(event) {
            this.show("closed");
            const reason = event.reason ? ` "${event.reason}"` : "";
            this.log(event.wasClean ? "info" : "error", "close",
              `closed ${event.code}${reason}, ${event.wasClean ? "clean" : "not clean"}`);
            if (!this.wasOpen) this.explain();
          }
          // Pages are not told why a handshake failed; the gateway answers a plain GET with the same refusal.
          async explain() {
            try {
              const answer = await fetch(new URL(this.socket.url.replace(/^ws/, "http")), { cache: "no-store" });
              const word = (await answer.text()).slice(0, 200).trim();
              if (answer.status >= 400) this.log("error", "note", `a plain GET here answers ${answer.status}: ${word}`);
            } catch (error) {
              this.log("error", "note", "the gateway does not answer: " + error.message);
            }
          }
          close() {
            const code = this.part("code").value, reason = this.part("reason").value;
            try {
              if (code === "" && reason === "") this.socket.close();
              else this.socket.close(Number(code), reason);
              this.show("closing");
            } catch (error) {
              this.log("error", "note", "a page may close with 1000 or 3000 to 4999: " + error.message);
            }
          }

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
                this.history.push(text);
                this.recall = this.history.length;
              }
              if (mode === "text") this.part("text").value = "";
              this.repeat(this.socket, payload, 0, count);
            } catch (error) {
              this.log("error", "note", error.message);
            }
          }
          // In slices, so that the page stays alive and the browser's own queue stays small.
          repeat(socket, payload, from, count) {
            let n = from;
            for (; n < count && n < from + 500 && socket.bufferedAmount < highWater; n += 1) {
              if (socket.readyState !== WebSocket.OPEN) return;
              const numbered = typeof payload === "string" && count > 1;
              this.transmit(socket, numbered ? payload.replaceAll("{n}", n + 1) : payload);
            }
            if (n < count) setTimeout(() => this.repeat(socket, payload, n, count), 0);
          }
          transmit(socket, payload) {
            socket.send(payload);
            this.sent += 1;
            this.sentBytes += typeof payload === "string" ? utf8Length(payload) : payload.length;
            if (this.pending.length < keptPending) this.pending.push({ payload, at: performance.now() });
            this.logPayload("out", payload);
          }
          receive(data) {
            const payload = typeof data === "string" ? data : new Uint8Array(data);
            this.received += 1;
            this.receivedBytes += typeof payload === "string" ? utf8Length(payload) : payload.length;
            this.logPayload("in", payload, this.roundTrip(payload));
            if (selected !== this) this.badge.textContent = this.unread += 1;
          }
          // Time since the oldest equal message went out; 0 when nothing equal is on its way.
          roundTrip(payload) {
            const found = this.pending.findIndex(sent => same(sent.payload, payload));
            if (found < 0) return 0;
            const trip = performance.now() - this.pending[found].at;
            this.pending.splice(0, found + 1);
            this.trips = { last: trip, total: this.trips.total + trip, count: this.trips.count + 1 };
            return trip;
          }

          logPayload(direction, payload, trip) {
            const text = typeof payload === "string", length = text ? utf8Length(payload) : payload.length;
            const shown = !text ? hexDump(payload)
              : payload.length > shownBytes ? payload.slice(0, shownBytes) + "…" : payload;
            const note = `${text ? "text" : "binary"} ${byteCount(length)}${trip ? `, ${trip.toFixed(1)} ms` : ""}`;
            this.log(direction, text ? "text" : "binary", shown, note);
          }
          log(direction, kind, text, note = "") {
            this.queue.push({ direction, kind, text, note, at: new Date() });
            if (this.queue.length > keptEntries) this.queue.shift();
            // A timer and not a frame: frames stop while the page is in the background.
            this.timer ??= setTimeout(() => this.flush(), 16);
          }
          flush() {
            this.timer = undefined;
            const log = this.part("log"), atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
            log.append(...this.queue.splice(0).map(entryElement));
            while (log.childElementCount > keptEntries) log.firstElementChild.remove();
            if (atEnd) log.scrollTop = log.scrollHeight;
            const { last, total, count } = this.trips;
            this.part("stats").textContent = `sent ${this.sent} (${byteCount(this.sentBytes)}), `
              + `received ${this.received} (${byteCount(this.receivedBytes)})`
              + (count ? `, round trip ${last.toFixed(1)} ms, mean ${(total / count).toFixed(1)} ms` : "");
          }
          key(event) {
            const text = this.part("text"), step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
            if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
              event.preventDefault();
              if (!this.part("send").disabled) this.part("sendForm").requestSubmit();
            } else if (step && (text.value === "" || text.value === this.history[this.recall])) {
              event.preventDefault();
              this.recall = Math.min(Math.max(this.recall + step, 0), this.history.length);
              text.value = this.history[this.recall] ?? "";
            }
          }
          dispose() {
            this.socket?.close();
            this.tab.remove();
            this.panel.remove();
          }
        }

        function entryElement({ direction, kind, text, note, at }) {
          const entry = make("div", "", { className: "entry" });
          Object.assign(entry.dataset, { direction, kind });
          const said = { in: "received", out: "sent", info: "note", error: "error" }[direction];
          const arrow = make("i", { in: "↓", out: "↑", info: "·", error: "!" }[direction], { title: said });
          arrow.setAttribute("aria-label", said);
          const time = at.toTimeString().slice(0, 8) + "." + String(at.getMilliseconds()).padStart(3, "0");
          const clock = make("time", time, { dateTime: at.toISOString() });
          entry.append(clock, arrow, make("pre", text), make("small", note));
          return entry;
        }

        // ---- tabs
        function select(connection) {
          selected = connection ?? null;
          byId("empty").hidden = connections.length > 0;
          for (const each of connections) {
            const on = each === selected;
            each.panel.hidden = !on;
            each.tab.setAttribute("aria-selected", on);
            each.tab.tabIndex = on ? 0 : -1;
          }
          if (!selected) return;
          selected.unread = 0;
          selected.badge.textContent = "";
        }
        function tabKey(connection, event) {
          const at = connections.indexOf(connection), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
          if (event.key === "Delete") {
            connection.dispose();
            connections.splice(at, 1);
            select(connections[Math.max(at - 1, 0)]);
            (selected?.tab ?? document.querySelector("#routes button") ?? byId("blank")).focus();
          } else if (step) {
            select(connections[(at + step + connections.length) % connections.length]);
            selected.tab.focus();
          }
        }
        function add(path) {
          const connection = new Connection(path);
          connections.push(connection);
          select(connection);
          return connection;
        }

        // ---- routes
        function routeElement({ pattern, handler, state }) {
          const form = make("form", ""), serving = state === "serving";
          const button = make("button", "", { title: "Connect to " + pattern });
          const inputs = pattern.split("/").map(segment => {
            if (!segment.startsWith(":") && segment !== "*") return segment;
            const name = segment === "*" ? "*" : segment.slice(1);
            const input = make("input", "", { value: segment === "*" ? "demo" : name, spellcheck: false });
            Object.assign(input.dataset, { parameter: name });
            const label = make("label", segment);
            label.append(input);
            form.append(label);
            return input;
          });
          button.dataset.route = pattern;
          form.dataset.serving = serving;
          button.append(make("b", pattern), make("small", `${handler} · ${state}`));
          form.prepend(button);
          form.addEventListener("submit", event => {
            event.preventDefault();
            const value = part => typeof part === "string" ? part
              : part.dataset.parameter === "*" ? encodePath(part.value) : encodeURIComponent(part.value);
            add(inputs.map(value).join("/") || "/").connect();
          });
          const item = make("li", "");
          item.append(form);
          return item;
        }
        byId("origin").textContent = socketOrigin;
        const securePort = document.documentElement.dataset.securePort;
        if (securePort && location.protocol === "http:") {
          const host = `${location.hostname}:${securePort}`;
          const more = { href: `https://${host}${location.pathname}`, textContent: "wss://" + host, hidden: false };
          Object.assign(byId("secure"), more, { title: "The same console over TLS" });
        }
        byId("routes").append(...routes.map(routeElement));
        byId("blank").addEventListener("click", () => add("/").part("path").select());
        if (routes.length === 0) byId("routes").append(make("li", "No route is configured.", { className: "note" }));
        """#
}
