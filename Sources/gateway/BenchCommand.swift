import GatewayConfiguration
import GatewayLoad
import GatewayServer

/// `gateway bench URL`: loads a WebSocket server and reports how it bore it.
enum BenchCommand {
    static let name = "bench"

    /// - Returns: the exit status; 1 when anything that came back was wrong or missing.
    static func run(_ arguments: [String]) -> Int32 {
        if arguments.contains("-h") || arguments.contains("--help") {
            print(help)
            return 0
        }
        do throws(LoadUsageError) {
            return run(try LoadPlan(arguments))
        } catch {
            let hint = error.unknownOption.flatMap { Suggestion.nearest(to: $0, among: options) }
            return refuse(error.sentence + (hint.map { " (did you mean \"\($0)\"?)" } ?? ""))
        }
    }

    /// The long options, as the help has them.
    private static var options: [String] {
        help.split { !$0.isLetter && $0 != "-" }.filter { $0.hasPrefix("--") && $0.count > 2 }.map { String($0) }
    }

    private static func run(_ plan: LoadPlan) -> Int32 {
        do throws(LoadFailure) {
            let report = try LoadGenerator.run(plan)
            print(plan.wantsJSON ? report.json : report.table, terminator: "")
            for sentence in report.faults.examples { Log.line("error: \(sentence)") }
            return report.isGood ? 0 : 1
        } catch {
            switch error {
            case .usage(let sentence): return refuse(sentence)
            case .system(let number):
                Log.line("error: the load cannot be generated: \(number)")
                return 1
            }
        }
    }

    private static func refuse(_ sentence: String) -> Int32 {
        Terminal.complain("error: \(sentence)\n       `gateway bench --help` shows how it is used")
        return ExitStatus.usage
    }

    static let help = """
        examples:
          gateway bench ws://127.0.0.1:8080/echo                          20 bytes, one at a time on 64 connections
          gateway bench ws://127.0.0.1:8080/echo --depth 16 --size 1024 --binary --pid $(pgrep -o gateway)
          gateway bench ws://127.0.0.1:8080/echo --rate 20000 --depth 8   latency under a load the server can carry
          gateway bench ws://127.0.0.1:8080/echo --flood 1000             how fair it is, beside the same without
          gateway bench connect ws://127.0.0.1:8080/echo                  handshake, Close, and again
          gateway bench connect wss://localhost:8443/echo --cacert dev-cert.pem --resume    the same with TLS
          gateway bench ws://127.0.0.1:8080/echo --deflate --records --size 1024   compressed both ways
          gateway bench fanout ws://127.0.0.1:8080/chat -c 1000           one publishes, all hear it
          gateway bench idle ws://127.0.0.1:8080/echo -c 10000            held connections

        usage: gateway bench [echo | connect | fanout | idle] URL [OPTION...]

          -c, --connections N   echo and connect 64, fanout 500, idle 10000
          --seconds S           measured time (5)
          --warmup S            what goes before that (0.5)
          --messages N          so many messages, handshakes or publications in all instead of a time
          --pid P               a server process whose time and memory to report; may be repeated
          --timeline MS         also messages and worst latency of each span of so many milliseconds
          --protocol NAME       a subprotocol that is asked for
          -H, --header 'NAME: VALUE'   added to the request
          --deflate             offer permessage-deflate, compress what that makes smaller, inflate what comes
          --http2               each WebSocket is a stream of a connection of HTTP/2 (RFC 8441)
          --json                one line of JSON instead of a table
        wss: URLs:
          --cacert FILE         trust the certificates in a PEM file, not those that this machine trusts
          --insecure            trust whoever answers
          --resume              connect: go on with the TLS session of an earlier connection
        echo and fanout:
          -s, --size N          bytes of a message: 20, fanout 64
          --text, --utf8, --records, --binary   what of: ASCII (the default), characters of up to four bytes, JSON as
                                APIs send it, anything
        echo and connect:
          --rate R              messages or handshakes a second over all connections; the latency of a message counts
                                from when it was due
        echo:
          -d, --depth N         messages under way on each connection (1)
          --flood N             beside them one connection with N messages under way: what do its neighbours feel?
        fanout:
          --window N            publications under way (8)
        idle:
          --hold S              how long they are held (5)
          --ramp N              opened at once (128)

        Everything is checked: handshakes, frames, order, all payloads up to 4 KiB and one in 16 of longer ones.
        exit status: 0 all was right, 1 something was not, 2 wrong usage
        """
}
