import CLinux
package import GatewayIO
import Glibc

/// What a program of the gateway says to one that it starts to take over, or that it watches over: descriptors, in variables
/// of the environment that name their numbers.
///
/// The number of the parent stands there, too. Whoever inherits the variables by some detour has another one, and finds
/// other descriptors behind the numbers than were meant.
package struct SuccessionEnvironment: ~Copyable, Sendable {
    /// `FD:PARENT`: the way to the process that watches over this one.
    static let supervisorName = "GATEWAY_SUPERVISOR"
    /// `FD:PARENT`: the way to the program that serves, and is to be relieved.
    static let predecessorName = "GATEWAY_PREDECESSOR"
    /// `FD:PARENT`: the way from the process of a handler to the first process.
    static let firstProcessName = "GATEWAY_FIRST_PROCESS"
    /// `FD:PARENT`: the file that it writes down its connections in.
    static let ledgerName = "GATEWAY_LEDGER"
    /// `FD:PARENT`: the configuration that is in effect.
    static let configurationName = "GATEWAY_CONFIGURATION"
    /// `GENERATION:PATH`: the copy of the module that it loads.
    static let moduleName = "GATEWAY_MODULE"
    /// `FD:PARENT`: the file that this program was started from, where its name may be another one's.
    static let programName = "GATEWAY_PROGRAM"
    /// The numbers that a child finds them behind.
    private static let supervisorNumber: Int32 = 3
    private static let predecessorNumber: Int32 = 4
    private static let programNumber: Int32 = 5

    private var supervisor: DescriptorSocket?
    private var predecessor: DescriptorSocket?
    private var firstProcess: DescriptorSocket?
    private var ledger: FileDescriptor?
    private var configuration: FileDescriptor?
    private var module: GivenModule?
    /// By a descriptor, which had no other use.
    private let wasStartedFromFile: Bool
    /// What was said and makes no sense.
    package let troubles: [String]

    /// Nobody says anything.
    package init() { self.init([:], parent: 0) }

    /// - Parameter parent: who has to have said it.
    init(_ variables: [String: String], parent: Int32) {
        var troubles: [String] = []
        supervisor = Self.socket(variables, Self.supervisorName, parent, &troubles)
        predecessor = Self.socket(variables, Self.predecessorName, parent, &troubles)
        firstProcess = Self.socket(variables, Self.firstProcessName, parent, &troubles)
        ledger = Self.file(variables, Self.ledgerName, parent, &troubles)
        configuration = Self.file(variables, Self.configurationName, parent, &troubles)
        module = variables[Self.moduleName].flatMap { GivenModule($0) }
        wasStartedFromFile = Self.file(variables, Self.programName, parent, &troubles) != nil
        self.troubles = troubles
    }

    private static func socket(
        _ variables: [String: String], _ name: String, _ parent: Int32, _ troubles: inout [String]
    ) -> DescriptorSocket? {
        guard let number = number(variables, name, parent, &troubles) else { return nil }
        guard let socket = DescriptorSocket(inherited: number) else {
            troubles.append("\(name) names descriptor \(number), which is no socket of that kind")
            return nil
        }
        return socket
    }

    private static func file(
        _ variables: [String: String], _ name: String, _ parent: Int32, _ troubles: inout [String]
    ) -> FileDescriptor? {
        guard let number = number(variables, name, parent, &troubles) else { return nil }
        guard number > STDERR_FILENO, fcntl(number, F_SETFD, FD_CLOEXEC) == 0 else {
            troubles.append("\(name) names descriptor \(number), which is not open")
            return nil
        }
        return FileDescriptor(adopting: number)
    }

    private static func number(
        _ variables: [String: String], _ name: String, _ parent: Int32, _ troubles: inout [String]
    ) -> Int32? {
        guard let value = variables[name] else { return nil }
        let words = value.split(separator: ":", omittingEmptySubsequences: false)
        guard words.count == 2, let number = Int32(words[0]), let teller = Int32(words[1]) else {
            troubles.append("\(name) is \"\(value)\", which is not FD:PID")
            return nil
        }
        guard teller == parent else {
            troubles.append("\(name) was said by process \(teller), and process \(parent) is the parent")
            return nil
        }
        return number
    }

    /// Reads what was said to this process and takes it out of the environment; no program that is started from here on
    /// inherits the descriptors. To be called once, before there is a second thread, or a descriptor is opened.
    package static func take() -> SuccessionEnvironment {
        var variables: [String: String] = [:]
        for name in [
            supervisorName, predecessorName, firstProcessName, ledgerName, configurationName, moduleName, programName,
        ] {
            variables[name] = unsafe getenv(name).map { unsafe String(cString: $0) }
            _ = unsafe unsetenv(name)
        }
        let environment = SuccessionEnvironment(variables, parent: getppid())
        if environment.wasStartedFromFile { takeName() }
        return environment
    }

    /// Whoever is started from a descriptor is called by its number, until it says otherwise.
    private static func takeName() {
        let name = CommandLine.arguments.first?.split(separator: "/").last.map { String($0) }
        unsafe clinux_name_thread(name ?? "gateway")
    }

    /// Whether this process is to take over from another one.
    package var isSuccessor: Bool { predecessor != nil }

    /// Whether this process is that of a handler.
    package var isHandlerProcess: Bool { firstProcess != nil }

    /// Each can be had once.
    package mutating func takeSupervisor() -> DescriptorSocket? { supervisor.take() }
    package mutating func takePredecessor() -> DescriptorSocket? { predecessor.take() }

    mutating func takeFirstProcess() -> DescriptorSocket? { firstProcess.take() }
    mutating func takeLedger() -> FileDescriptor? { ledger.take() }
    /// The configuration that the first process has in effect.
    package mutating func readConfiguration() throws(Errno) -> [UInt8] {
        guard let file = configuration.take() else { throw Errno(EBADF) }
        return try MemoryFile.read(file)
    }

    mutating func takeModule() -> GivenModule? { module.take() }

    /// The same for a process that was divided from its parent, and needs no variables.
    package mutating func watchedOver(by socket: consuming DescriptorSocket) { supervisor = consume socket }

    // MARK: Saying it

    /// Starts a program as a child of this process, with a way to it, and one to the program that asks for it.
    ///
    /// - Parameter file: open on it, where something else may lie at its path.
    /// - Returns: its number, and our end of the way to it.
    static func start(
        _ program: ChildProgram, predecessor: Int32, from file: Int32? = nil
    ) throws(ChildProgram.Failure) -> (process: pid_t, socket: Int32) {
        var pair: DescriptorSocket.Pair
        do throws(Errno) {
            pair = try DescriptorSocket.Pair()
        } catch {
            throw ChildProgram.Failure(description: "\(program.path) cannot be started: socketpair: \(error)")
        }
        guard let near = pair.takeNear(), let far = pair.takeFar() else { preconditionFailure("a pair has two ends") }
        var said = program
        said.variables[supervisorName] = "\(supervisorNumber):\(getpid())"
        said.variables[predecessorName] = "\(predecessorNumber):\(getpid())"
        if file != nil { said.variables[programName] = "\(programNumber):\(getpid())" }
        let process = try said.start([far.number, predecessor], from: file)
        return (process, near.release())
    }
}
