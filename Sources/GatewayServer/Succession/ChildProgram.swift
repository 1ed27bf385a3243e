import CLinux
import GatewayIO
import Glibc

/// A program of the gateway to be started as a child of the process that watches over it.
struct ChildProgram: Sendable, Equatable {
    /// The file, from the root.
    var path: String
    /// What stands behind the name of the program on its command line.
    var arguments: [String]
    /// What its environment has besides that of its parent.
    var variables: [String: String] = [:]

    /// Why it could not be started.
    struct Failure: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    /// What connects it with this process, or with another child.
    static func makePair() throws(Failure) -> DescriptorSocket.Pair {
        do throws(Errno) {
            return try DescriptorSocket.Pair()
        } catch {
            throw Failure(description: "no way between the processes: \(error)")
        }
    }

    /// What is said over one end of it.
    static func makeLink(_ socket: consuming DescriptorSocket) throws(Failure) -> SuccessionLink {
        do throws(Errno) {
            return try SuccessionLink(socket)
        } catch {
            throw Failure(description: "no way between the processes: \(error)")
        }
    }

    /// Starts it, in a process group of its own: what a terminal sends goes to the parent alone, which hands it on.
    ///
    /// - Parameters:
    ///   - descriptors: what it inherits, from 3 on.
    ///   - standard: what it has as standard input, output and error: those of this process, unless others are given.
    ///   - file: open on what is started, where something else may lie at the path by now. The child has it behind the others.
    func start(
        _ descriptors: [Int32] = [], standard: [Int32] = [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO],
        from file: Int32? = nil
    ) throws(Failure) -> pid_t {
        let words = unsafe CStringList([path] + arguments)
        let environment = unsafe CStringList(self.environment())
        defer {
            unsafe words.free()
            unsafe environment.free()
        }
        let all = standard + descriptors + (file.map { [$0] } ?? [])
        // The number that it has in the child, where the name is looked up.
        let executed = file == nil ? path : "/proc/self/fd/\(all.count - 1)"
        let process = unsafe clinux_spawn_in(executed, words.pointers, environment.pointers, all, Int32(all.count))
        guard process > 0 else { throw Failure(description: "\(path) cannot be started: \(Errno.last)") }
        return process
    }

    /// Kills a child of this process and what it has started, and reaps it: nobody wants to know how it ends.
    static func endAtOnce(_ process: pid_t) {
        _ = kill(-process, SIGKILL)
        // It is dead in a moment, unless the kernel has much to clear away: that is not waited for.
        do throws(Errno) {
            try SystemThread(name: "end of a child") {
                var end = clinux_end()
                _ = unsafe clinux_reap(process, 1, &end)
            }.detach()
        } catch {
            // Where there is no thread for it, the end of this process reaps it.
        }
    }

    /// That of this process, with the variables in place of those of the same name.
    private func environment() -> [String] {
        var entries: [String] = []
        var index = 0
        while let entry = unsafe environ[index] {
            let text = unsafe String(cString: entry)
            if let name = text.split(separator: "=", maxSplits: 1).first, variables[String(name)] == nil {
                entries.append(text)
            }
            index += 1
        }
        return entries + variables.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }

    // MARK: On the wire

    func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, path)
        for argument in arguments { writer.put(2, argument) }
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) { writer.put(3, "\(name)=\(value)") }
    }

    init(path: String, arguments: [String], variables: [String: String] = [:]) {
        (self.path, self.arguments, self.variables) = (path, arguments, variables)
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        path = try fields.demand(fields.text(1), 1)
        arguments = try fields.texts(2)
        for entry in try fields.texts(3) {
            let parts = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else { throw fields.failure("\"\(entry)\" is no variable") }
            variables[String(parts[0])] = String(parts[1])
        }
        let texts = [path] + arguments + variables.map { $0.key + $0.value }
        guard path.hasPrefix("/"), texts.allSatisfy({ !$0.utf8.contains(0) }) else {
            throw fields.failure("this is no path from the root, or a NUL is in a text")
        }
    }
}

/// How a child ended.
struct ChildEnd: Sendable, Equatable, CustomStringConvertible {
    /// That killed it; 0 where it exited by itself.
    var signal: Int32 = 0
    var status: Int32 = 0

    var description: String { signal != 0 ? "was killed by signal \(signal)" : "exited with status \(status)" }
}
