import GatewayConfiguration
import GatewayIO
import TestSupport
import Testing

@testable import GatewayServer

@Suite("ServiceManager: what systemd is told, and when its watchdog is fed")
struct ServiceManagerTests {
    /// A manager with workers that turn when a test says so.
    private final class Managed {
        let listener = DatagramListener()
        let manager: ServiceManager
        let ports: [WorkerPort]
        var now: UInt64 = 1_000_000_000_000

        init(watchdog microseconds: String? = nil, workers: Int = 2) throws {
            var variables = ["NOTIFY_SOCKET": listener.name]
            variables["WATCHDOG_USEC"] = microseconds
            manager = ServiceManager(
                ServiceEnvironment(variables, process: 1), Log(threshold: nil), bell: try ControlWaker())
            var ports: [WorkerPort] = []
            for index in 0..<workers { ports.append(try WorkerPort(index: UInt8(index), capacity: 1)) }
            self.ports = ports
        }

        /// What is heard so many milliseconds later.
        func step(after milliseconds: UInt64 = 0, isTransient: Bool = false, working: Bool = true) -> [String] {
            now += milliseconds * 1_000_000
            manager.step("status", isTransient: isTransient, working ? ports : [], at: now)
            return listener.waiting()
        }

        /// A turn of a worker; how many fences it met.
        @discardableResult
        func turn(_ worker: Int) -> Int {
            var mail: [WorkerMessage] = []
            ports[worker].collect(into: &mail)
            for case .fence(let fence) in mail { fence.pass() }
            return mail.count
        }
    }

    @Test("what happens is told at once, with a line for people")
    func events() throws {
        let managed = try Managed()
        managed.manager.tellReady("serving 2 routes", at: managed.now)
        managed.manager.tellReloading(at: managed.now)
        managed.manager.tellStopping("stopping", at: managed.now)
        #expect(
            managed.listener.waiting() == [
                "READY=1\nSTATUS=serving 2 routes", "RELOADING=1\nMONOTONIC_USEC=1000000000",
                "STOPPING=1\nSTATUS=stopping",
            ])
    }

    @Test("the line is told when it changes, and not again")
    func status() throws {
        let managed = try Managed()
        #expect(managed.step() == ["STATUS=status"])
        #expect(managed.step(after: 60_000) == [])
        #expect(managed.manager.deadline == nil)
    }

    @Test("while it starts or ends its time is extended, before each extension is over")
    func extensions() throws {
        let managed = try Managed()
        managed.manager.tellReady("status", at: managed.now)
        _ = managed.listener.waiting()
        #expect(managed.step(isTransient: true) == ["EXTEND_TIMEOUT_USEC=15000000"])
        #expect(managed.step(after: 4999, isTransient: true) == [])
        #expect(managed.manager.deadline == managed.now + 1_000_000)
        #expect(managed.step(after: 1, isTransient: true) == ["EXTEND_TIMEOUT_USEC=15000000"])
        #expect(managed.step(after: 5000) == [])
    }

    @Test("the watchdog is fed every half of its time, as long as each worker turns")
    func feeding() throws {
        let managed = try Managed(watchdog: "2000000")
        managed.manager.tellReady("status", at: managed.now)
        _ = managed.listener.waiting()
        for _ in 0..<5 {
            #expect(managed.step() == [])
            #expect(managed.turn(0) == 1)
            #expect(managed.step() == [], "one of two has not turned")
            #expect(managed.turn(1) == 1)
            #expect(managed.step() == ["WATCHDOG=1"])
            #expect(managed.manager.deadline == managed.now + 1_000_000_000)
            #expect(managed.step(after: 999) == [])
            #expect(managed.turn(0) + managed.turn(1) == 0, "nobody is woken before it is time")
            #expect(managed.step(after: 1) == [])
        }
    }

    @Test("a worker that hangs starves it, and is asked no further; when it goes on so does feeding")
    func starving() throws {
        let managed = try Managed(watchdog: "2000000")
        _ = managed.step()
        managed.turn(0)
        for _ in 0..<20 { #expect(managed.step(after: 1000) == []) }
        #expect(managed.turn(0) == 0)
        #expect(managed.turn(1) == 1)
        #expect(managed.step() == ["WATCHDOG=1"])
    }

    @Test("without workers, before they are there and while they end, this thread alone feeds it")
    func withoutWorkers() throws {
        let managed = try Managed(watchdog: "2000000")
        #expect(managed.step(working: false) == ["STATUS=status", "WATCHDOG=1"])
        _ = managed.step(after: 1000)
        #expect(managed.step(after: 1, working: false) == ["WATCHDOG=1"])
    }

    @Test("what finds no room is told later, in its order, and nothing waits for it")
    func noRoom() throws {
        let managed = try Managed(watchdog: "2000000")
        let other = try NotificationSocket(path: managed.listener.name)
        while other.send("noise") == .sent {}
        managed.manager.tellReady("status", at: managed.now)
        managed.manager.tellReloading(at: managed.now)
        _ = managed.listener.waiting()
        managed.manager.step("status", isTransient: false, [], at: managed.now + 100_000_000)
        #expect(
            managed.listener.waiting() == [
                "READY=1\nSTATUS=status", "RELOADING=1\nMONOTONIC_USEC=1000000000", "WATCHDOG=1",
            ])
    }

    @Test("a manager that never reads costs a bounded number of messages")
    func neverRead() throws {
        let managed = try Managed()
        for _ in 0..<10_000 { managed.manager.tellReloading(at: managed.now) }
        managed.manager.tellReady("status", at: managed.now)
        var heard: [String] = []
        repeat { heard = managed.step(after: 100) + heard } while managed.manager.deadline != nil
        #expect(heard.contains("READY=1\nSTATUS=status") && heard.count < 2000)
    }

    @Test("where nobody listens nothing goes wrong")
    func nobody() throws {
        let managed = try Managed(watchdog: "2000000")
        managed.listener.close()
        managed.manager.tellReady("status", at: managed.now)
        managed.manager.step("another", isTransient: true, managed.ports, at: managed.now)
        let manager = ServiceManager(ServiceEnvironment(), Log(threshold: nil), bell: try ControlWaker())
        manager.step("status", isTransient: true, managed.ports, at: managed.now)
        #expect(manager.deadline == nil)
    }
}

@Suite("ServiceManager: a gateway under systemd")
struct ManagedGatewayTests {
    @Test("it is ready when it serves, is fed while its workers turn, and says when it ends")
    func life() throws {
        let listener = DatagramListener()
        let gate = try Gate()
        let gateway = try TestGateway(
            handler: "fixture_blocker_v1", threads: 2,
            environment: ServiceEnvironment(
                ["NOTIFY_SOCKET": listener.name, "WATCHDOG_USEC": "200000"], process: 0))
        while let heard = listener.receive(), heard != "READY=1\nSTATUS=serving 1 route" { #expect(!heard.isEmpty) }
        #expect(listener.receive() == "WATCHDOG=1")
        #expect(listener.receive() == "WATCHDOG=1")

        let client = try gateway.connect()
        try client.send("wait \(gate.text)")
        try gate.entered()
        // One may be on its way, which the worker allowed before.
        _ = listener.receive(within: 500)
        #expect(listener.waiting().count <= 1)
        #expect(listener.receive(within: 1000) == nil, "a worker hangs")
        gate.release()
        #expect(listener.receive() == "WATCHDOG=1")
        gateway.beginStopping()
        gateway.stop()
    }
}
