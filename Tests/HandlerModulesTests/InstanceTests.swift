import CGatewayABI
import Glibc
import HandlerModules
import TestSupport
import Testing

@Suite("An instance is started once, stopped once, and waited for only so long")
struct InstanceTests {
    /// Two ends of a pipe; a descriptor is closed once.
    final class Pipe {
        private(set) var ends: [Int32] = [-1, -1]

        init() {
            _ = pipe(&ends)
        }

        deinit {
            closeWriting()
            _ = close(ends[0])
        }

        func closeWriting() {
            if ends[1] >= 0 { _ = close(ends[1]) }
            ends[1] = -1
        }

        /// Waits until the text that came so far ends with `suffix`, or until the other end is closed.
        func text(until suffix: String) -> String {
            var bytes: [UInt8] = []
            while !String(decoding: bytes, as: UTF8.self).hasSuffix(suffix) {
                var byte: UInt8 = 0
                guard read(ends[0], &byte, 1) == 1 else { break }
                bytes.append(byte)
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private func settings(_ values: [(String, Int32)]) -> RouteSettings {
        RouteSettings(
            route: "/rooms/:room", origin: "gateway.conf:42",
            settings: values.map { RouteSettings.Setting(key: $0.0, value: "\($0.1)") })
    }

    @Test func `starts, hears and stops`() throws {
        let heard = Pipe()
        let generation = try Workshop().load("fixture_works")
        let instance = Instance(id: 7, routeIndex: 3, generation: generation)
        #expect(instance.phase == .created)
        let took = try instance.start(settings([("tell", heard.ends[1])]), timeout: .seconds(30))
        #expect(took >= .zero)
        #expect(instance.phase == .running)
        #expect(instance.selfPointer != nil)
        var message = gw_message()
        let hello = Array("hello ".utf8)
        hello.withUnsafeBufferPointer { bytes in
            message.data = gw_bytes(ptr: bytes.baseAddress, len: bytes.count)
            generation.callbacks.message?(instance.selfPointer, 1, nil, &message)
        }
        #expect(try instance.reconfigure(settings([]), timeout: .seconds(30)) == gw_status(GW_E_UNSUPPORTED))
        #expect(try instance.stop(timeout: .seconds(30)))
        #expect(instance.phase == .stopped)
        #expect(try instance.stop(timeout: .seconds(30)), "stopping twice is harmless")
        heard.closeWriting()
        #expect(heard.text(until: "\0") == "/rooms/:room gateway.conf:42 start hello reconfigure stop")
    }

    @Test func `tells what the handler says about its refusal`() throws {
        let generation = try Workshop().load("fixture_refuses_start")
        let instance = Instance(id: 1, routeIndex: 0, generation: generation)
        let error = #expect(throws: ModuleError.self) { try instance.start(settings([]), timeout: .seconds(30)) }
        #expect(
            error?.serving(3).description == """
                handler "fixture_refuses_start": generation 1 refused to start: "the setting "room" is missing" \
                (GW_E_INVALID).
                   Route: /rooms/:room (gateway.conf:42). File: \(Fixture.folder)/libfixture_refuses_start.so
                   To do: see what it says about itself.
                   Still serving: generation 3.
                """)
        #expect(instance.phase == .refused)
        #expect(try instance.stop(timeout: .zero), "nothing to stop")
    }

    @Test func `tells when the handler says nothing`() throws {
        let generation = try Workshop().load("fixture_refuses_start")
        let instance = Instance(id: 1, routeIndex: 0, generation: generation)
        let error = #expect(throws: ModuleError.self) {
            try instance.start(settings([("any", 1)]), timeout: .seconds(30))
        }
        #expect(
            error?.reason == "generation 1 refused to start: its start answered GW_E_INVALID and gave no reason")
    }

    @Test func `gives up on a start that takes too long, and stops it when it comes back`() throws {
        let heard = Pipe()
        let gate = Pipe()
        let generation = try Workshop().load("fixture_works")
        let instance = Instance(id: 1, routeIndex: 0, generation: generation)
        let error = #expect(throws: ModuleError.self) {
            try instance.start(
                settings([("wait", gate.ends[0]), ("tell", heard.ends[1])]), timeout: .milliseconds(1))
        }
        #expect(error?.reason == "generation 1 was still busy with its start after 0.001 seconds")
        #expect(instance.phase == .late)
        gate.closeWriting()
        #expect(heard.text(until: "stop") == "/rooms/:room gateway.conf:42 start stop")
    }

    @Test func `is not started twice`() throws {
        let instance = Instance(id: 1, routeIndex: 0, generation: try Workshop().load("echo"))
        try instance.start(settings([]), timeout: .seconds(30))
        #expect(instance.selfPointer == nil, "NULL is a value like any other")
        #expect(throws: ModuleError.self) { try instance.start(settings([]), timeout: .seconds(30)) }
        #expect(instance.phase == .running)
        #expect(try instance.reconfigure(settings([]), timeout: .zero) == gw_status(GW_E_UNSUPPORTED))
    }
}
