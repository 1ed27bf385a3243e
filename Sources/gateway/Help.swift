/// What `--help` says: examples first, then the rest.
enum Help {
    /// The help of a command; nil = of the whole.
    static func text(of command: Command?) -> String {
        switch command {
        case nil: overview
        case .run: run
        case .check: check
        case .status: status
        case .connections: connections
        case .trace: trace
        case .reload: reload
        case .rollback: rollback
        case .upgrade: upgrade
        case .stop: stop
        case .drain: drain
        case .explain: explain
        case .inspect: inspect
        case .new: new
        case .test: test
        case .initialize: initialization
        case .connect: connect
        case .top: top
        case .devCert: devCert
        case .completion: completion
        case .man: man
        }
    }

    private static let overview = """
        examples:
          gateway                          serve what ./gateway.conf says
          gateway -c /etc/gw.conf          serve another configuration
          gateway check                    is the configuration right, can every handler be loaded and started?
          gateway status                   routes, handlers and their generations, connections
          gateway connections              who is connected
          gateway trace --route /chat      frames of that route as they pass
          gateway reload chat              replace the handler chat while it serves
          gateway upgrade                  replace the gateway itself, by the program that was installed over it
          gateway explain /rooms/7         which route that path has, and which limits
          gateway init                     a gateway.conf to begin with
          gateway new hello                a handler to begin with: builds with `make`, has a test
          gateway test hello.so            does it keep to the contract, whatever clients do?
          gateway connect :8080/chat       talk to a WebSocket
          gateway top                      what goes on, as a live view
          gateway dev-cert                 wss:// and https:// on this machine, trusted by its browsers

        usage: gateway [COMMAND] [-c FILE]

          run                 serve in the foreground; this is what happens without a command
          check, -t           parse the file, try every handler in a process of its own, serve nothing
          -T                  print the effective configuration
          explain PATH        the route of a path, by the configuration
          inspect FILE.so     what a module is, without running it
          init [FOLDER]       write a gateway.conf to begin with
          new NAME            write a handler to begin with, in Swift, C, C++ or Rust
          test FILE.so        let clients of all kinds at a handler, and tell what it gets wrong
          connect URL         talk to any WebSocket, typed or from a pipe
          bench URL           load a WebSocket server and measure it; `gateway bench --help`
          dev-cert [NAME...]  write a certificate for localhost, and have the browsers here trust it
          completion bash|zsh|fish    print what that shell reads to complete command lines
          man [gateway|gateway.conf]  print a page of the manual

        to a running gateway, over the control socket of its configuration:

          status [--json]     what is served, by which generation, to how many
          top                 rates, durations and reloads as a live view
          connections         who is connected, with filters and in any order
          trace               frames as they pass, of one connection or of a route
          reload [HANDLER]    read the configuration again and replace the handlers that changed
          rollback HANDLER    make the previous generation current again
          upgrade [FILE]      replace the gateway's own program under its connections; --back: by the one before
          stop                tell every connection to go (1001), and end
          drain               refuse newcomers (503), and end when the last has left
                              both: --spread [TIME] tells them one by one

        options:

          -c FILE             the configuration; else $GATEWAY_CONF, ./gateway.conf, /etc/gateway/gateway.conf
          -v, --version       print the version
          -h, --help          print this, or what there is to know of a command

        exit status:

        \(ExitStatus.meanings.map { "  \($0.status)\($0.status < 10 ? " " : "")  \($0.text)" }.joined(separator: "\n"))

        """

    /// The options that several commands have.
    private struct Options: OptionSet {
        let rawValue: Int
        static let configuration = Options(rawValue: 1)
        /// The command speaks to a running gateway.
        static let socket = Options(rawValue: 2)
        static let json = Options(rawValue: 4)
    }

    private static func page(examples: [String], usage: String, _ options: Options, _ text: String) -> String {
        var page = "examples:\n" + examples.map { "  \($0)\n" }.joined() + "\nusage: \(usage)\n\n"
        if options.contains(.json) { page += "  --json     one line of JSON\n" }
        if options.contains(.configuration) {
            page += "  -c FILE    the configuration; else $GATEWAY_CONF, ./gateway.conf, /etc/gateway/gateway.conf\n"
        }
        if !options.isEmpty { page += "\n" }
        page += text + "\n"
        if options.contains(.socket) { page += "\n" + socketNote + "\n" }
        return page
    }

    private static let socketNote = """
        The gateway is found by the `control` line of its configuration. Only the user it runs as, and root, are
        heard. Exit status 69: no gateway answers there.
        """

    private static let run = page(
        examples: [
            "gateway                          serve what ./gateway.conf says",
            "gateway run -c /etc/gw.conf      serve another configuration",
            "GATEWAY_CONF=gw.conf gateway     the same by the environment",
        ], usage: "gateway [run] [-c FILE]", [.configuration],
        """
        \(SignalMeaning.rows)
        Exit status: 0 after a graceful end, 78 when the file is invalid or no route can be
        served, 1 for anything else. One handler that cannot be loaded does not keep the others from serving.
        """)

    private static let check = page(
        examples: [
            "gateway check                    is ./gateway.conf right?",
            "gateway -t -c /etc/gw.conf       another file",
            "gateway -T                       every value that is in effect, and where it comes from",
        ], usage: "gateway check [-c FILE]", [.configuration],
        """
        Parses the file and tries every handler as it lies there: loaded, started with GW_CFG_PROBE and stopped in a
        process of its own. Nothing is listened on or written, also beside a gateway that runs. Exit status: 0 all is
        fine, 78 something is not.

        -T prints the whole configuration, each value with where it comes from: the line of a file, the environment
        variables in it, `defaults`, or "default" for what is built in.
        """)

    private static let status = page(
        examples: [
            "gateway status",
            "gateway status --json | jq '.handlers[] | {handler, generations}'",
            "watch gateway status",
        ], usage: "gateway status [--json] [-c FILE]", [.configuration, .socket, .json],
        """
        Shows routes, handlers, their generations and connections, what is being reloaded, what came of the last reload,
        and how many requests were refused for what. Exit status: 0 all is well; 1 it is not, for reasons that are named:
        those of /readyz (a route that nobody serves; it starts, drains or stops), or a copy that serves instead of a file
        that is no good.
        """)

    private static let connections = page(
        examples: [
            "gateway connections                                 who is connected, those that came last first",
            "gateway connections --route /chat --sort queue:desc --limit 10",
            "gateway connections --peer 10.0.0.0/8 --handler chat --generation 2",
            "gateway connections --json --limit 50000 | jq '.connections[] | select(.idle_ms > 60000) | .id'",
        ],
        usage:
            "gateway connections [--route PATH] [--handler NAME] [--generation N] [--peer ADDRESS[/BITS]] [--id ID]\n"
            + "                           [--sort KEY[:desc]] [--limit N] [--json] [-c FILE]",
        [.configuration, .socket, .json],
        """
          --route PATH            as gateway.conf has it, or with its host before it
          --handler NAME          of a handler
          --generation N          of a build of it, as `gateway status` counts them
          --peer ADDRESS[/BITS]   who comes from there; unix: for peers of unix sockets
          --id ID                 one connection, as the logs name it
          --sort KEY[:desc]       age (default), idle, messages, bytes or queue; the least first, or with :desc the most
          --limit N               so many at most, 1000 if you do not say; 50000 are the most

        States: request (nothing is open yet), open, closing. IN and OUT count messages, QUEUE the bytes that wait for the
        peer. Workers look at their connections a few hundred at a time, so those are not all of one moment. Exit status:
        0 all are there, 1 a worker did not answer within 5 s, as when a callback holds it up, and its connections are
        missing.
        """)

    private static let trace = page(
        examples: [
            "gateway trace 100000003                    frames of one connection; `gateway connections` shows its id",
            "gateway trace --route /chat                of a route, also of connections that come later",
            "gateway trace --route /chat --redact       lengths, and nothing of what is said",
            "gateway trace --route /chat --json --for 10s | jq 'select(.opcode == \"close\")'",
        ], usage: "gateway trace (ID | --route PATH) [--redact] [--limit BYTES] [--for TIME] [--json] [-c FILE]",
        [.configuration, .socket, .json],
        """
          --route PATH     as gateway.conf has it, or with its host before it
          --redact         no payloads and no close reasons
          --limit BYTES    of each payload, 128 if you do not say
          --for TIME       end after that, such as 30s

        A line for each frame: time, connection, `in` from the peer or `out` to it, opcode, `fin=0` where the message goes
        on, bytes of the payload on the wire, `rsv1 inflated=N` where it is compressed, and its beginning, inflated: text
        in quotes, other bytes as hexadecimal digits. Frames to the peer are shown when they are queued. `open` and `end`
        tell of connections. A reload does not end it; it ends with the connection, with --for, or with Ctrl-C.
        The gateway never waits for it: of what comes faster than it is read, lines are dropped, and how many is said.
        Exit status: 0 it was followed to its end, 1 there is no such connection or route, 75 four traces are on already.
        """)

    private static let reload = page(
        examples: [
            "gateway reload                   read gateway.conf again, and replace every handler whose file changed",
            "gateway reload chat              only the handler chat",
        ], usage: "gateway reload [HANDLER] [-c FILE]", [.configuration, .socket],
        """
        Waits until it is over, and says what came of it: what of the configuration took effect and what waits for a
        restart, how many connections moved, and why others stay. A file that was rolled back from, or that killed the
        gateway before, is loaded only when HANDLER names it. Exit status: 0 done, or nothing had changed; 75 refused:
        what was there before still serves.
        """)

    private static let rollback = page(
        examples: [
            "gateway rollback chat            back to the generation of chat before the current one"
        ], usage: "gateway rollback HANDLER [-c FILE]", [.configuration, .socket],
        """
        Connections change back as they came, by the `reload` line of their route. Each call goes one build further back,
        as far as `retain` keeps them, and says where it is. It holds, also over a restart, until the file changes or
        `gateway reload HANDLER` asks for it. Exit status: 0 done; 75 refused, such as when there is no older build: the
        current one still serves.
        """)

    private static let upgrade = page(
        examples: [
            "gateway upgrade                  by the file that lies now where the running program came from",
            "gateway upgrade /opt/gateway-2/bin/gateway",
            "gateway upgrade ./gateway -c /etc/gateway/gateway.conf",
            "gateway upgrade --back           by the program that ran before the last upgrade",
        ], usage: "gateway upgrade [FILE | --back] [-c FILE]", [.configuration, .socket],
        """
          --back     the program before this one takes over again: its file as it was, also where another one lies there now;
                     twice goes forth and back

        Replaces the gateway's own program while clients stay connected. The new program rehearses first: it reads the
        configuration, tries every handler, and reads a copy of what is known of the connections. Then it starts beside
        the old one, which hands over what listens and, one by one between two messages, its WebSockets, with what their
        handlers know. The number of the process stays: what was started first goes on watching over the new one.

        Connections over TLS and HTTP/2 stay with the old program, and so do those of handlers that cannot hand over,
        until they end or are told to go (1012) within the `drain_timeout` of their routes. The command answers when all
        that can move has moved, and says how many stay, and until when.

        While some are still with the program before, another upgrade is refused; --back has those told to go (1012) at
        once, when its program has rehearsed, and waits for that.

        A program that is installed has to replace the file, as `install` or a package does, not write into it.
        Exit status: 0 the new program serves; 75 refused, such as by the rehearsal, or while another upgrade is not over:
        nothing was changed; 1 it failed later, as the log says.
        """)

    private static let stop = page(
        examples: [
            "gateway stop                     end the gateway of ./gateway.conf",
            "gateway stop --spread 30s        the same within 30 s, so that clients do not all come back at once",
        ], usage: "gateway stop [--spread [TIME]] [-c FILE]", [.configuration, .socket],
        """
          --spread [TIME]      tell them one by one, at random moments within TIME, or within the `drain_timeout` of each
                               route; whoever comes meanwhile hears 503 draining

        Tells every connection to go (1001) and ends when they have, at most `close_timeout` later. The command waits for
        the end; a second one ends the gateway at once.
        """)

    private static let drain = page(
        examples: [
            "gateway drain                    refuse newcomers (503), and end when the last has left",
            "gateway drain --spread 10m       and have them leave one by one within 10 minutes",
        ], usage: "gateway drain [--spread [TIME]] [-c FILE]", [.configuration, .socket],
        """
          --spread [TIME]      tell those who are here to go one by one, at random moments within TIME, or within the
                               `drain_timeout` of each route; also later, as `gateway stop --spread`

        Newcomers hear 503 draining; connections that are open stay, at most the `drain_timeout` of `defaults`, and are
        told to go (1001) then. The command waits for the end.
        """)

    private static let explain = page(
        examples: [
            "gateway explain /rooms/7",
            "gateway explain '/feed/eu/a%2Fb?x=1'",
            "gateway explain /ws -H 'Host: api.example.com' -H 'Origin: https://www.example.com'",
        ], usage: "gateway explain PATH [-H 'NAME: VALUE'] [-c FILE]", [.configuration],
        """
          -H 'NAME: VALUE'     a header of the request, of which Host and Origin matter; may be repeated

        Says which route a path has, what its parameters stand for, and every limit with the line that sets it. Reads
        only the configuration; no gateway needs to run. Exit status: 0 there is a route, 1 there is none.
        """)

    private static let inspect = page(
        examples: [
            "gateway inspect Plugins/chat.so",
            "gateway inspect .build/release/libecho.so",
        ], usage: "gateway inspect FILE.so", [],
        """
        Shows what a module is without running any of it: interface, language, libraries it needs, digest, build id,
        and what a careful author would change. Exit status: 0 it can be offered to the gateway, 1 it cannot.
        """)

    private static let new = page(
        examples: [
            "gateway new hello                                a handler in Swift, a method per event, in ./hello",
            "gateway new hello --flavour functional           a closure per event; imperative: a loop; fleck",
            "gateway new shout --language c --into handlers   in C, in handlers/shout",
        ], usage: "gateway new NAME [--language LANGUAGE] [--flavour FLAVOUR] [--into FOLDER]", [],
        """
          --language LANGUAGE   swift (default), c, cpp or rust
          --flavour FLAVOUR     of Swift: reactive (default), functional, imperative or fleck
          --into FOLDER         where the folder NAME is made; else here

        Writes a folder NAME with a handler that numbers what each client says and hands the numbers over in a reload,
        with a test, a README and all it needs to be built anywhere: `make` builds NAME.so, `make test` tries it,
        `make run` serves it. In Swift the kit lies beside it. NAME begins with a lower-case letter; letters, digits, -
        and _ may follow. What is there already is never touched. Exit status: 0 written, 1 it could not be, 2 wrong
        usage.
        """)

    private static let test = page(
        examples: [
            "gateway test hello.so",
            "gateway test .build/release/libchat.so --route /rooms/:room --set history=50",
            "gateway test hello.so --tls --deflate",
            "gateway test hello.so --json | jq '.findings[] | select(.verdict == \"wrong\")'",
        ], usage: "gateway test FILE.so [--route PATTERN] [--set KEY=VALUE]... [--tls] [--deflate] [--json]", [.json],
        """
          --route PATTERN    the route it is served on (/trial)
          --set KEY=VALUE    a `set` line of that route; may be repeated
          --tls              clients come over wss, with a certificate made for the trial
          --deflate          clients compress their messages (permessage-deflate)

        Serves the handler with a real gateway in a process of its own, on a socket of its own, and lets clients at it:
        messages of all sizes, whole and in fragments, pings, every close code, clients that vanish, that do not read,
        200 at once, 1,000 that come and go, plain HTTP, two reloads under traffic, and a stop with clients connected.
        Meanwhile the gateway watches for what a handler may not do: keep what it was only lent (bytes are overwritten
        when a callback returns), answer twice, call from a wrong thread, hold an event loop up for more than 50 ms.

        A line for each thing tried: ok, WRONG, or note for what may be meant; a crash is told with its callback.
        `mode development` in gateway.conf has the gateway watch in the same way while it serves.
        Exit status: 0 nothing is wrong, 1 something is, 2 wrong usage.
        """)

    private static let initialization = page(
        examples: [
            "gateway init                  gateway.conf and Plugins here",
            "gateway init my-gateway       the same in a folder of its own",
        ], usage: "gateway init [FOLDER] [--force]", [],
        """
          --force    write over a gateway.conf that is there

        Writes a gateway.conf for development: this machine alone may connect, the console is on, what is often changed
        stands there with its comment. Makes a folder Plugins beside it, and says what comes next. What is there already
        is not touched. Exit status: 0 written, 1 it could not be.
        """)

    private static let connect = page(
        examples: [
            "gateway connect ws://localhost:8080/chat",
            "gateway connect :8080/echo                        the same host, and ws:// understood",
            "gateway connect wss://localhost:8443/chat --cacert ~/.local/share/gateway/dev-ca.pem",
            "gateway connect :8080/chat --subprotocol chat.v2 -H 'Authorization: Bearer abc'",
            "echo hello | gateway connect :8080/echo           a message each line; answers are lines, too",
            "gateway connect :8080/ticker --wait forever </dev/null | head -3",
        ],
        usage: "gateway connect URL [-H 'NAME: VALUE']... [--subprotocol NAME]... [OPTION...]", [],
        """
          -H 'NAME: VALUE'     a header of the request; may be repeated
          --subprotocol NAME   is asked for; may be repeated, the first is preferred
          --cacert FILE        trust the authorities in a PEM file, not those that this machine trusts
          --insecure           trust whoever answers
          --deflate            offer permessage-deflate, and compress what that makes smaller
          --http2              open it as a stream of a connection of HTTP/2 (RFC 8441)
          --raw                write payloads as they came, and nothing else
          --json               write an object on a line for each message, pong and close
          --pings              show the pings of the server, which are answered anyhow
          --wait TIME          after the end of a piped input stay for 500ms, 5s, ... or forever (0)

        On a terminal each line that is typed is sent, and /help tells of the rest: /ping, /close 1001 bye, /hex 00 ff,
        /file. What comes is shown with its time: JSON over several lines, binary messages as hex dump, close codes in
        words. Lines that were sent come back with the arrow up, also the next time: they are kept in
        $XDG_STATE_HOME/gateway/connect_history, or ~/.local/state/..., but for those that begin with a blank.

        In a pipe each line of the input is a message, a line that is not UTF-8 a binary one, and each message that
        comes is a line, a binary one in hex digits. At the end of the input the connection is closed with 1000; what the
        server sent before its Close is written.
        Exit status: 0 closed as it should be (1000, 1001, or by us); 1 refused, or closed for another reason; 69 nobody
        answers there.
        """)

    private static let top = page(
        examples: [
            "gateway top",
            "ssh -t gw1 gateway top -c /etc/gateway/gateway.conf",
            "gateway top --interval 5s | tee top.log      a line every five seconds",
        ], usage: "gateway top [--interval TIME] [--count N] [-c FILE]", [.configuration, .socket],
        """
          --interval TIME    between two looks (1s)
          --count N          ends after so many looks

        Connections, messages and bytes a second, the median and the 99th percentile of what callbacks took and of how
        late the loops were, memory, for each route and as a whole; generations that still have connections, and the last
        reloads. Keys: s another order, arrows and page keys scroll, q ends. Where the output is no terminal it is a line
        for each look. Durations are the upper bounds of the buckets they are counted in; of messages one of each
        worker every 32 ms is looked at.
        """)

    private static let devCert = page(
        examples: [
            "gateway dev-cert                             dev-cert.pem and dev-key.pem, for localhost",
            "gateway dev-cert app.test '*.app.test'       for these names as well",
            "gateway dev-cert 192.168.1.20                for a telephone in the same network",
            "gateway dev-cert --remove                    nobody trusts it any more, and nothing is left",
        ], usage: "gateway dev-cert [NAME...] [--remove]", [],
        """
          --remove    take the authority out of every list it was added to, and away, and the two files here

        Writes dev-cert.pem and dev-key.pem into this folder, for localhost, 127.0.0.1, ::1 and each NAME: a host, a
        wildcard such as *.app.test, an address. In gateway.conf:

          listen 8443 tls { certificate dev-cert.pem dev-key.pem; }

        They are signed by an authority of this user alone, in $XDG_DATA_HOME/gateway or ~/.local/share/gateway, which is
        made once and added to the lists of the system, where this may write there, and of Chromium and Firefox, where
        `certutil` is installed (libnss3-tools, nss-tools). For everything else the commands are printed. Call it as the
        user whose browsers shall trust it, without sudo.

        A certificate that is good for another 30 days and has all names is kept; else it is made anew, with the names it
        had and the same key, and `gateway reload` has it shown. Files of others are never touched. Whoever has the key of
        the authority can be any server for this user: it is for development, and leaves the machine never.
        Exit status: 0 done, or there was nothing to do; 1 something could not be done; 2 wrong usage.
        """)

    private static let completion = page(
        examples: [
            "gateway completion bash >~/.local/share/bash-completion/completions/gateway",
            "gateway completion zsh >~/.zfunc/_gateway          with ~/.zfunc in $fpath",
            "gateway completion fish >~/.config/fish/completions/gateway.fish",
            "source <(gateway completion bash)                  for this shell alone",
        ], usage: "gateway completion bash|zsh|fish", [],
        """
        Prints what the shell reads to complete commands, options and their values. Handlers and paths are those of the
        configuration that the command line is about.
        """)

    private static let man = page(
        examples: [
            "man -l <(gateway man)                  this program",
            "man -l <(gateway man gateway.conf)     every directive of the configuration",
        ], usage: "gateway man [gateway|gateway.conf]", [],
        """
        Prints a page of the manual, in the language of man(7).
        """)
}
