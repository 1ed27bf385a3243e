import CLinux
import GatewayConfiguration
import GatewayControl
import GatewayIO
import Glibc

/// `gateway top`: what goes on in the running gateway, again and again.
enum TopCommand {
    static func run(_ arguments: Arguments) -> Int32 {
        let plan: Plan
        do throws(UnitError) {
            plan = try Plan(arguments)
        } catch {
            Terminal.complain("error: --interval takes a duration such as 500ms or 5s, and --count a number")
            return ExitStatus.usage
        }
        let place: RunningGateway.Place
        do throws(RunningGateway.NoPlace) {
            place = try RunningGateway.Place(arguments)
        } catch {
            return error.status
        }
        let first: TopReading
        do throws(ControlClient.Failure) {
            first = try read(place)
        } catch {
            return RunningGateway.complain(error, at: place)
        }
        if isatty(STDOUT_FILENO) == 1, isatty(STDIN_FILENO) == 1 {
            var view = TopView(first, place, plan)
            return view.run()
        }
        return lines(first, place, plan)
    }

    struct Plan {
        var intervalNanoseconds: UInt64 = 1_000_000_000
        /// Looks after which it ends; nil = never.
        var count: Int?

        init(_ arguments: Arguments) throws(UnitError) {
            if let text = arguments.values["--interval"]?.last {
                let milliseconds = try Unit.milliseconds(text)
                // More often than that the gateway would only answer questions.
                guard (100...3_600_000).contains(milliseconds) else { throw .notANumber }
                intervalNanoseconds = UInt64(milliseconds) * 1_000_000
            }
            if let text = arguments.values["--count"]?.last {
                guard let number = Int(text), number > 0 else { throw .notANumber }
                count = number
            }
        }
    }

    static func read(_ place: RunningGateway.Place) throws(ControlClient.Failure) -> TopReading {
        let answer = try ControlClient.ask(.status(.json), at: place.path, seconds: 10)
        guard let reading = TopReading(json: answer.text.utf8) else { throw .cutShort }
        return reading
    }

    /// A line for each look, as vmstat does it.
    private static func lines(_ first: TopReading, _ place: RunningGateway.Place, _ plan: Plan) -> Int32 {
        var before = first
        var number = 0
        while plan.count.map({ number < $0 }) ?? true {
            if number % 20 == 0 { Terminal.draw(TopScreen.lineTitles + "\n") }
            wait(plan.intervalNanoseconds)
            do throws(ControlClient.Failure) {
                let now = try read(place)
                Terminal.draw(TopScreen.line(now, since: before) + "\n")
                before = now
            } catch {
                return RunningGateway.complain(error, at: place)
            }
            number += 1
        }
        return ExitStatus.ok
    }

    private static func wait(_ nanoseconds: UInt64) {
        var nothing = pollfd(fd: -1, events: 0, revents: 0)
        _ = unsafe poll(&nothing, 1, Int32(clamping: nanoseconds / 1_000_000))
    }
}

/// The live view: a terminal that is drawn anew at each look, each key and each change of its size.
struct TopView {
    private let place: RunningGateway.Place
    private let plan: TopCommand.Plan
    private var screen: TopScreen
    private var now: TopReading
    private var before: TopReading?
    private var looks = 0
    private var isOver = false

    init(_ first: TopReading, _ place: RunningGateway.Place, _ plan: TopCommand.Plan) {
        now = first
        self.place = place
        self.plan = plan
        screen = TopScreen(colour: Terminal.hasColour(STDOUT_FILENO))
    }

    mutating func run() -> Int32 {
        let numbers = [SIGTERM, SIGINT, SIGHUP, SIGWINCH]
        let signals = FileDescriptor(adopting: unsafe clinux_watch_signals(numbers, Int32(numbers.count)))
        let mode = TerminalMode(of: STDIN_FILENO)
        // The other screen, without a cursor: what was there before comes back at the end.
        Terminal.draw("\u{1B}[?1049h\u{1B}[?25l")
        var due = Clock.monotonicNanoseconds() + plan.intervalNanoseconds
        while !isOver {
            draw()
            let time = Clock.monotonicNanoseconds()
            if time >= due {
                look()
                due = max(due + plan.intervalNanoseconds, Clock.monotonicNanoseconds())
            } else {
                wait(signals.number, milliseconds: Int32(clamping: (due - time) / 1_000_000 + 1))
            }
        }
        Terminal.draw("\u{1B}[?25h\u{1B}[?1049l")
        _ = consume mode
        return ExitStatus.ok
    }

    private mutating func look() {
        do throws(ControlClient.Failure) {
            (before, now) = (now, try TopCommand.read(place))
            screen.notice = nil
        } catch {
            // It may be about to start again, or be replaced.
            screen.notice = "no gateway answers at \(place.path)"
        }
        looks += 1
        if let count = plan.count, looks >= count { isOver = true }
    }

    private mutating func wait(_ signals: Int32, milliseconds: Int32) {
        var entries = [
            pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
        ]
        guard unsafe poll(&entries, 2, milliseconds) > 0 else { return }
        if entries[1].revents != 0 {
            let signal = clinux_next_signal(signals)
            if signal != 0, signal != SIGWINCH { isOver = true }
        }
        guard entries[0].revents != 0 else { return }
        var room = [UInt8](repeating: 0, count: 256)
        let count = unsafe room.withUnsafeMutableBytes { unsafe read(STDIN_FILENO, $0.baseAddress, $0.count) }
        if count <= 0 { isOver = true } else { obey(String(decoding: room[..<count], as: UTF8.self)) }
    }

    private mutating func obey(_ keys: String) {
        let page = max(1, TerminalMode.size(of: STDOUT_FILENO).rows - 8)
        switch keys {
        case "\u{1B}[A", "\u{1B}OA", "k": screen.offset -= 1
        case "\u{1B}[B", "\u{1B}OB", "j": screen.offset += 1
        case "\u{1B}[5~": screen.offset -= page
        case "\u{1B}[6~", " ": screen.offset += page
        case "\u{1B}[H": screen.offset = 0
        default:
            for key in keys {
                switch key {
                case "q", "\u{3}", "\u{4}": isOver = true
                case "s": screen.order = screen.order.next
                default: break
                }
            }
        }
    }

    private mutating func draw() {
        let (columns, rows) = TerminalMode.size(of: STDOUT_FILENO)
        let lines = screen.lines(now, since: before, columns: columns, rows: rows)
        Terminal.draw("\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\n") + "\u{1B}[J")
    }
}
