import GatewayHandler

/// The page a browser gets on the path of a room; it asks for a name, and connects back to where it came from.
///
/// One file without assets. What people say is only ever put in as text, never as markup.
enum RoomPage {
    /// With this in the query a client is told first which gateway it is at.
    static let greeting = "greet"

    static let response = {
        var response = Response.html(markup)
        response.headers.add("cache-control", "no-cache")
        response.headers.add("x-content-type-options", "nosniff")
        response.headers.add("referrer-policy", "no-referrer")
        // Nothing is loaded from anywhere, and the page talks to WebSockets only. Older Safari does not count ws: as
        // 'self', hence the two schemes.
        response.headers.add(
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
                + "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
        return response
    }()

    private static let markup = """
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
        <meta name="color-scheme" content="light dark">
        <title>Room</title>
        <link rel="icon" href="data:,">
        <style>\(style)</style>
        </head>
        <body>
        <header>
        <div><h1 id="room">Room</h1><p id="gateway" aria-live="polite"></p></div>
        <p id="status" role="status" data-state="connecting">Connecting…</p>
        </header>
        <main>
        <ol id="incoming" role="log" aria-label="Messages" tabindex="0"></ol>
        <p id="empty">Nothing said yet. Open this page in a second window, or at another gateway, and say hello.</p>
        </main>
        <form id="sendForm" autocomplete="off">
        <label for="name">Your name</label>
        <input id="name" name="name" placeholder="Your name" maxlength="32">
        <label for="sendText">Message</label>
        <input id="sendText" name="text" placeholder="Say something" enterkeyhint="send" autofocus>
        <button id="send" disabled>Send</button>
        </form>
        <noscript><p>This room needs JavaScript.</p></noscript>
        <script>\(script)</script>
        </body>
        </html>

        """

    private static let style = #"""

        :root {
            color-scheme: light dark;
            --ground: light-dark(#f6f6f3, #16181c);
            --card: light-dark(#ffffff, #1f2228);
            --ink: light-dark(#1d1f23, #e9e9e6);
            --quiet: light-dark(#5d6169, #a2a7b0);
            --line: light-dark(#dcdcd6, #33373f);
            --accent: light-dark(#2456c7, #8fb2ff);
            --on-accent: light-dark(#ffffff, #10131a);
        }
        * { box-sizing: border-box; }
        html, body { height: 100%; }
        body {
            margin: 0 auto; max-width: 46rem; height: 100dvh;
            display: grid; grid-template-rows: auto minmax(0, 1fr) auto;
            background: var(--ground); color: var(--ink);
            font: 1rem/1.5 system-ui, sans-serif;
        }
        header {
            display: flex; align-items: center; justify-content: space-between; gap: 1rem;
            padding: max(.75rem, env(safe-area-inset-top)) 1rem .75rem;
        }
        header div { min-width: 0; }
        h1 { margin: 0; font-size: 1.25rem; letter-spacing: -.01em; overflow-wrap: anywhere; }
        #gateway, #status { margin: 0; color: var(--quiet); font-size: .875rem; overflow-wrap: anywhere; }
        #status { display: flex; align-items: center; gap: .5rem; }
        #status::before { content: ""; width: .625rem; height: .625rem; border-radius: 50%; background: #d99a1c; }
        #status[data-state=open]::before { background: #2f9e5b; }
        #status[data-state=closed]::before { background: #cf4040; }
        main { position: relative; min-height: 0; padding: 0 1rem; }
        #incoming {
            height: 100%; margin: 0; padding: .75rem; overflow-y: auto; overscroll-behavior: contain; list-style: none;
            background: var(--card); border: 1px solid var(--line); border-radius: .75rem;
        }
        #incoming li { padding: .2rem .25rem; white-space: pre-wrap; overflow-wrap: anywhere; }
        .who { font-weight: 600; }
        #empty {
            position: absolute; inset: 0; margin: auto; height: fit-content; padding: 2rem;
            color: var(--quiet); text-align: center; pointer-events: none;
        }
        #incoming:not(:empty) + #empty { display: none; }
        form { display: flex; gap: .5rem; padding: .75rem 1rem max(.75rem, env(safe-area-inset-bottom)); }
        label { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
        input, button { font: inherit; min-height: 2.75rem; border-radius: .75rem; padding: .5rem 1rem; }
        input {
            flex: 1; min-width: 0; background: var(--card); color: inherit;
            border: 1px solid light-dark(#85888f, #757a84);
        }
        #name { flex: 0 1 9rem; }
        input::placeholder { color: var(--quiet); opacity: 1; }
        button { border: 0; background: var(--accent); color: var(--on-accent); font-weight: 600; cursor: pointer; }
        button:disabled { background: var(--line); color: var(--quiet); cursor: default; }
        :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
        noscript p { margin: 0; padding: 1rem; text-align: center; }

        """#

    private static let script = #"""

        "use strict";
        (() => {
            const byId = id => document.getElementById(id);
            const incoming = byId("incoming"), name = byId("name"), input = byId("sendText");
            const button = byId("send"), status = byId("status"), gateway = byId("gateway");
            const address = (location.protocol === "https:" ? "wss://" : "ws://") + location.host + location.pathname;
            const keep = 1000, firstPause = 500, longestPause = 15000;
            let socket = null, timer = 0, pause = firstPause;

            const last = location.pathname.split("/").pop();
            try { byId("room").textContent = decodeURIComponent(last); } catch { byId("room").textContent = last; }
            document.title = byId("room").textContent;
            name.value = new URLSearchParams(location.search).get("name") || "";

            function show(state, text) {
                status.dataset.state = state;
                status.textContent = text;
                button.disabled = state !== "open";
            }

            function add(line) {
                const atEnd = incoming.scrollHeight - incoming.scrollTop - incoming.clientHeight < 40;
                const item = document.createElement("li"), border = line.indexOf(": ") + 2;
                const who = document.createElement("bdi"), said = document.createElement("bdi");
                who.className = "who";
                who.textContent = line.slice(0, border);
                said.textContent = line.slice(border);
                item.append(who, said);
                incoming.append(item);
                while (incoming.childElementCount > keep) incoming.firstElementChild.remove();
                if (atEnd) incoming.scrollTop = incoming.scrollHeight;
            }

            function connect() {
                clearTimeout(timer);
                timer = 0;
                show("connecting", "Connecting…");
                const query = new URLSearchParams({name: name.value, greet: ""});
                const current = socket = new WebSocket(address + "?" + query);
                let isGreeted = false;
                current.onopen = () => { pause = firstPause; };
                current.onmessage = event => {
                    if (socket !== current || typeof event.data !== "string") return;
                    if (isGreeted) return add(event.data);
                    // Which gateway it is comes first, and what was said last behind it.
                    isGreeted = true;
                    gateway.textContent = "at " + event.data;
                    incoming.replaceChildren();
                    show("open", "Connected");
                };
                current.onclose = () => { if (socket === current) retry(); };
            }

            function retry() {
                socket = null;
                // Half of the pause is chance, so that clients do not all return at once after a restart.
                const wait = pause / 2 + Math.random() * pause / 2;
                pause = Math.min(pause * 2, longestPause);
                gateway.textContent = "";
                show("closed", "Disconnected. Reconnecting…");
                timer = setTimeout(connect, wait);
            }

            function connectNow() {
                if (!socket) { pause = firstPause; connect(); }
            }

            function leave() {
                clearTimeout(timer);
                const current = socket;
                socket = null;
                if (current) current.close(1000);
            }

            name.addEventListener("change", () => { leave(); connectNow(); });
            byId("sendForm").addEventListener("submit", event => {
                event.preventDefault();
                if (input.value === "" || status.dataset.state !== "open") return;
                socket.send(input.value);
                input.value = "";
                incoming.scrollTop = incoming.scrollHeight;
                input.focus();
            });
            addEventListener("online", connectNow);
            addEventListener("pageshow", connectNow);
            addEventListener("pagehide", leave);
        })();

        """#
}
