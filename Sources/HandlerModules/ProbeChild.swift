import CLinux
import Glibc

extension ModuleProbe {
    /// Where a probe process says how far it came.
    private static let progress: Int32 = 3
    /// Descriptors that a module may have open.
    private static let files: UInt32 = 256

    /// The life of a probe process: tries the module at `path` as standard input asks, and ends. Nothing but the main
    /// thread runs when it is called, and it never returns.
    package static func child(path: String, makeHost: ModuleLoader.HostFactory) -> Never {
        let last: ProbeStep
        do throws(ProbeRefusal) {
            let request = try readRequest()
            try confine(request)
            try unsafe rehearse(path, request, makeHost)
            last = .passed
        } catch {
            last = .refused(error)
        }
        // What the module printed, and what it did not flush because it does not know that this is the end.
        fflush(nil)
        announce(last)
        // Not exit: what a module left with atexit is not what is tried here.
        _exit(last == .passed ? EXIT_SUCCESS : EXIT_FAILURE)
    }

    private static func readRequest() throws(ProbeRefusal) -> ProbeRequest {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe read(STDIN_FILENO, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        guard let request = ProbeRequest(bytes) else {
            throw ProbeRefusal(
                reason: "its probe process was not told what to do", place: "The gateway starts it, nobody else.",
                remedy: "run `gateway check` or `gateway inspect` instead")
        }
        return request
    }

    private static func confine(_ request: ProbeRequest) throws(ProbeRefusal) {
        // Processes that the module starts must not keep the pipe open.
        _ = clinux_close_on_exec(progress)
        guard clinux_confine(request.memory, request.seconds, files, request.seconds, progress) == 0 else {
            throw ProbeRefusal(
                reason: "its probe process could not be limited (\(SystemError("setrlimit")))",
                place: "File: \(request.source)", remedy: "look at the limits of the process")
        }
    }

    private static func rehearse(
        _ path: String, _ request: ProbeRequest, _ makeHost: ModuleLoader.HostFactory
    ) throws(ProbeRefusal) {
        let file = "File: \(request.source)"
        announce(.opening)
        let image: ModuleImage
        do throws(ModuleImageError) {
            image = try ModuleImage(path: path)
        } catch {
            throw ProbeRefusal(reason: error.reason, place: file, remedy: error.remedy)
        }
        announce(.calling)
        let note = FailureReason()
        let host = unsafe makeHost(request.generation, request.handler, note)
        let table: HandlerTable
        do throws(NegotiationError) {
            table = try unsafe image.negotiate(host, note)
        } catch {
            throw ProbeRefusal(reason: error.reason, place: file, remedy: error.remedy)
        }
        var started: [(route: String, instance: UnsafeMutableRawPointer?)] = unsafe []
        for (index, settings) in request.routes.enumerated() {
            announce(.starting(route: settings.route))
            var made: UnsafeMutableRawPointer?
            _ = note.take()
            let answer = unsafe settings.withConfiguration(instance: UInt64(index + 1)) { configuration in
                unsafe table.callbacks.start(host, configuration, &made)
            }
            if let refusal = StartRefusal(status: answer, note: note.take()) {
                let said = ProbeRefusal(
                    reason: refusal.reason, place: "Route: \(settings.route) (\(settings.origin)). \(file)",
                    remedy: refusal.remedy)
                announce(.routeRefused(route: settings.route, said))
                continue
            }
            unsafe started.append((settings.route, made))
        }
        for unsafe(route, instance) in unsafe started {
            announce(.stopping(route: route))
            unsafe table.callbacks.stop?(instance)
        }
    }

    private static func announce(_ step: ProbeStep) {
        let bytes = step.bytes
        // Should the gateway be gone, the line is not heard, and this process ends with it.
        _ = unsafe write(progress, bytes, bytes.count)
    }
}
