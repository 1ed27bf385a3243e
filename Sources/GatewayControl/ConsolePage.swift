/// The browser console that `console /path;` serves: one page without external assets.
package enum ConsolePage {
    /// One line of the console's list: a route's pattern, its handler, and "serving" or why it is not.
    package typealias Route = (pattern: String, handler: String, state: String)

    /// Answers the page as UTF-8 HTML with the routes embedded; any thread.
    ///
    /// - Parameter securePort: where the same gateway speaks TLS, for a page that came without.
    package static func html(routes: [Route], securePort: UInt16? = nil) -> String {
        """
        <!doctype html>
        <html lang="en"\(securePort.map { " data-secure-port=\"\($0)\"" } ?? "")>
        <head>
        \(head)
        <style>
        \(style)
        </style>
        </head>
        <body>
        \(body)
        <script id="routes-data" type="application/json">\(json(routes))</script>
        <script>
        \(script)
        </script>
        </body>
        </html>

        """
    }

    /// The routes as a JSON array that is safe inside a script element.
    static func json(_ routes: [Route]) -> String {
        let rows = routes.map { route in
            "{\"pattern\":\(json(route.pattern)),\"handler\":\(json(route.handler)),\"state\":\(json(route.state))}"
        }
        return "[" + rows.joined(separator: ",") + "]"
    }

    /// One JSON string. HTML ends a script element at `</script` whatever the JSON says, so `<`, `>` and `&` are
    /// written as escapes, and so are the line separators that older script parsers stumble over.
    private static func json(_ text: String) -> String {
        var out = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "<", ">", "&", "\u{7F}", "\u{2028}", "\u{2029}", "\u{0}"..<"\u{20}": out += escape(scalar)
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }

    /// `\uXXXX`; only called for scalars of the basic plane.
    private static func escape(_ scalar: Unicode.Scalar) -> String {
        let digits = String(scalar.value, radix: 16)
        return "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    /// The policy keeps the page from loading or calling anything but this gateway.
    private static let head = #"""
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta name="referrer" content="no-referrer">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline';
          script-src 'unsafe-inline'; connect-src 'self' ws: wss:; img-src data:; base-uri 'none'; form-action 'none'">
        <title>gateway console</title>
        <link rel="icon" href="data:,">
        """#

    private static let body = #"""
        <header>
          <h1>gateway <span>console</span></h1>
          <code id="origin"></code>
          <a id="secure" hidden></a>
        </header>
        <div id="layout">
          <nav aria-labelledby="routesTitle">
            <h2 id="routesTitle">Routes</h2>
            <ul id="routes"></ul>
            <label class="field">Subprotocols to offer
              <input id="protocols" placeholder="chat.v2 chat.v1" autocomplete="off" spellcheck="false"
                autocapitalize="off">
            </label>
            <button type="button" id="blank" class="quiet">Other path…</button>
            <details class="note">
              <summary>Pings and keys</summary>
              <p>Pages cannot send or see pings. The gateway sends them by itself (<code>ping_interval</code>), and
                the browser answers.</p>
              <p><kbd>Enter</kbd> sends, <kbd>Shift Enter</kbd> is a new line, <kbd>↑</kbd> <kbd>↓</kbd> recall what
                was sent. On a tab, <kbd>←</kbd> <kbd>→</kbd> change connection, <kbd>Delete</kbd> ends it. In a
                repeated text, <code>{n}</code> becomes the number.</p>
            </details>
          </nav>
          <main>
            <div id="tabs" role="tablist" aria-label="Connections"></div>
            <p id="empty">Choose a route to open a connection. Each click opens one more.</p>
            <div id="panels"></div>
          </main>
        </div>
        <template id="panelTemplate">
          <section role="tabpanel">
            <form data-role="connectForm" class="bar">
              <output data-role="status" data-state="closed">closed</output>
              <input data-role="path" class="grow mono" aria-label="Path and query" spellcheck="false"
                autocomplete="off" autocapitalize="off">
              <button data-role="connect">Connect</button>
            </form>
            <div data-role="log" role="log" aria-label="Log" tabindex="0"></div>
            <p data-role="stats" class="note"></p>
            <form data-role="sendForm">
              <textarea data-role="text" rows="2" aria-label="Message" placeholder="Message"></textarea>
              <div class="bar">
                <select data-role="mode" aria-label="Send as">
                  <option value="text">text</option>
                  <option value="hex">binary, as hex</option>
                  <option value="file">binary, a file</option>
                </select>
                <input data-role="file" type="file" aria-label="File to send" hidden>
                <label>times <input data-role="count" type="number" min="1" max="100000" value="1"></label>
                <span class="grow"></span>
                <button data-role="send" class="primary">Send</button>
              </div>
            </form>
            <form data-role="closeForm" class="bar">
              <label>code <input data-role="code" type="number" min="0" max="4999" value="1000"></label>
              <input data-role="reason" class="grow" aria-label="Close reason" placeholder="reason" autocomplete="off">
              <button data-role="close">Close</button>
              <button data-role="clear" type="button" class="quiet">Clear log</button>
            </form>
          </section>
        </template>
        """#
}
