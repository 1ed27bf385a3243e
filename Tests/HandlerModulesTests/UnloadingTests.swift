import CGatewayABI
import Glibc
import HandlerModules
import Testing

@Suite("An image leaves memory when its author vouches for it, and never when it has Swift in it")
struct UnloadingTests {
    private let workshop: Workshop

    init() throws {
        workshop = try Workshop()
    }

    private func ended(_ handler: String, of module: Module? = nil) throws -> Generation {
        let generation = try workshop.loader.load(module ?? workshop.module(handler))
        generation.end()
        return generation
    }

    private func isMapped(_ path: String) -> Bool {
        String(decoding: contentsOfProc("/proc/self/maps"), as: UTF8.self).contains(path)
    }

    @Test func `unloads plain C, and removes its copy`() throws {
        let generation = try ended("fixture_unloads")
        #expect(isMapped(generation.path))
        #expect(generation.unloadOutcome == nil)
        #expect(workshop.loader.unload(generation) == .unloaded)
        #expect(workshop.loader.unload(generation) == .unloaded, "twice is harmless")
        #expect(generation.unloadOutcome == .unloaded)
        #expect(!isMapped(generation.path))
        #expect(names(in: workshop.run.path) == ["lock"])
    }

    @Test func `a hundred generations leave nothing behind`() throws {
        let module = workshop.module("fixture_unloads")
        for _ in 0..<100 {
            // Also at an address that was used before.
            guard workshop.loader.unload(try ended("", of: module)) == .unloaded else {
                Issue.record("it stayed")
                return
            }
        }
        #expect(module.forgetEnded().count == 100)
        #expect(names(in: workshop.run.path) == ["lock"])
    }

    /// The linker may map the next image to where the last one was before it has said that this one is gone.
    @Test func `images come and go on several threads`() async throws {
        let (loader, module) = (workshop.loader, workshop.module("fixture_unloads"))
        for _ in 0..<300 {
            let (former, candidate) = (try ended("", of: module), try loader.prepare(module))
            let loading = Task.detached { try loader.load(candidate) }
            #expect(loader.unload(former) == .unloaded)
            let generation = try await loading.value
            generation.end()
            #expect(loader.unload(generation) == .unloaded)
        }
    }

    @Test(arguments: [
        ("chat", "contains Swift"),
        ("fixture_pinned_by_thread", "pinned by a TLS destructor of a thread that lives"),
    ])
    func `keeps the others, and their copies`(_ handler: String, _ why: String) throws {
        let generation = try ended(handler)
        #expect(workshop.loader.unload(generation) == .pinned(why))
        #expect(generation.unloadOutcome == .pinned(why))
        #expect(isMapped(generation.path))
        #expect(names(in: workshop.run.path).count == 2)
    }

    @Test func `keeps what is in use`() throws {
        let generation = try workshop.load("fixture_unloads")
        #expect(workshop.loader.unload(generation) == .pinned("it is still in use"))
        generation.end()
        #expect(workshop.loader.unload(generation) == .unloaded, "and asks again later")
    }

    @Test func `keeps what a call is still running in`() throws {
        let generation = try workshop.load("fixture_works")
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { _ = close(end) } }
        let settings = RouteSettings(
            route: "/", origin: "t:1", settings: [RouteSettings.Setting(key: "wait", value: "\(ends[0])")])
        let instance = Instance(id: 1, routeIndex: 0, generation: generation)
        #expect(throws: ModuleError.self) { try instance.start(settings, timeout: .milliseconds(1)) }
        generation.end()
        #expect(workshop.loader.unload(generation) == .pinned("a call into it has not returned yet"))
    }

    /// /proc does not say how long its files are.
    private func contentsOfProc(_ path: String) -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        defer { _ = close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
        }
    }
}
