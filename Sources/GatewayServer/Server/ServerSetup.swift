import CLinux
import GatewayConfiguration
import GatewayIO
import Glibc
import HandlerModules

/// What a server is made of before it is one, and a process that only tries a module.
extension Server {
    static func makeContext(
        _ configuration: Configuration, _ log: Log, capacity: Int, descriptorRoom: Int = .max, isProbe: Bool = false,
        access: AccessLog? = nil, firstProcess: FirstProcessMail? = nil, ledger: Ledger? = nil,
        clock: @escaping @Sendable () -> UInt64 = { Clock.monotonicNanoseconds() }
    ) throws(Errno) -> ServerContext {
        var ports: [WorkerPort] = []
        for index in 0..<workerCount(configuration) {
            ports.append(try WorkerPort(index: UInt8(index), capacity: capacity))
        }
        let routes = configuration.routes.enumerated().map {
            Route($0.element, index: $0.offset, workers: ports.count)
        }
        return ServerContext(
            log: log, ports: ports, routing: RoutingTable(configuration, routes: routes, accessLog: access),
            descriptorRoom: descriptorRoom,
            contractChecker: configuration.mode == .development ? ContractChecker(log) : nil,
            stallWatch: isProbe ? nil : try StallWatch(log, ledger: ledger), ledger: ledger, firstProcess: firstProcess,
            isProbe: isProbe, clock: clock)
    }

    /// How many slots each worker has, and how many connections there may be for want of descriptors.
    ///
    /// - Parameter log: where it is said that there may be more by the configuration; nil where that is said elsewhere.
    static func makeRoom(_ configuration: Configuration, _ log: Log?) -> (capacity: Int, room: Int) {
        let limit = DescriptorLimit.raised()
        let room = limit.connectionRoom(configuration, workers: workerCount(configuration))
        if let log { limit.check(configuration, room: room, log) }
        return (min(ConnectionID.maximumSlots, max(16, limit.descriptors)), room)
    }

    /// `auto` is one worker for each core that this process may run on.
    static func workerCount(_ configuration: Configuration) -> Int {
        switch configuration.threads {
        case .automatic: max(1, min(ConnectionID.maximumWorkers, Int(clinux_available_cores())))
        case .count(let count): max(1, min(ConnectionID.maximumWorkers, count))
        }
    }

    /// What a probe process does, instead of being a gateway: tries one module and ends.
    package static func probe(_ path: String) -> Never {
        var configuration = Configuration(file: "")
        configuration.threads = .count(1)
        let made = try? makeContext(configuration, Log(threshold: nil), capacity: 16, isProbe: true)
        guard let context = made else { _exit(1) }
        unsafe ModuleProbe.child(path: path) { generation, handler, note in
            unsafe HostContext.makeHost(
                HostContext(server: context, module: 1, handler: handler, generation: generation, note: note))
        }
    }
}
