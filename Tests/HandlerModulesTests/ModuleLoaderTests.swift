import CGatewayABI
import Glibc
import HandlerModules
import TestSupport
import Testing

@Suite("A handler that does not load changes nothing, and says why")
struct ModuleLoaderTests {
    @Test func `loads echo`() throws {
        let generation = try Workshop().load("echo")
        #expect(generation.number == 1)
        #expect(generation.handler == "echo")
        #expect(generation.name == "echo")
        #expect(generation.phase == .loading)
        #expect(generation.has(GW_HF_STATELESS) && !generation.has(GW_HF_SERIAL))
        #expect(generation.host.pointee.generation == 1)
        #expect(generation.source == "\(builtModules)/libecho.so")
    }

    @Test func `gives each generation its own image, path and host table`() throws {
        let workshop = try Workshop()
        let module = Module(handler: "echo")
        let one = try workshop.loader.load(module)
        module.makeLive(one)
        let two = try workshop.loader.load(module)
        #expect([one.number, two.number] == [1, 2])
        #expect(one.digest == two.digest)
        #expect(one.path != two.path)
        #expect(one.host != two.host)
        let starts = [one, two].map { unsafeBitCast($0.callbacks.start, to: UInt.self) }
        #expect(starts[0] != starts[1])
        #expect(names(in: workshop.run.path).count == 3)
        #expect(module.generations.count == 2)
    }

    @Test func `runs nothing while it prepares`() throws {
        let workshop = try Workshop()
        let module = workshop.module("fixture_crash_constructor")
        do {
            let candidate = try workshop.loader.prepare(module)
            #expect(candidate.number == 1)
            #expect(candidate.path.hasPrefix(workshop.run.path + "/fixture_crash_constructor.1."))
        }
        #expect(names(in: workshop.run.path) == ["lock"], "what was not loaded is removed")
    }

    @Test func `says what the linker missed`() throws {
        let workshop = try Workshop()
        let error = #expect(throws: ModuleError.self) { try workshop.load("fixture_unresolved") }
        let symbol = "function_of_a_library_nobody_linked"
        #expect(
            error?.description == """
                handler "fixture_unresolved": its module cannot be loaded: undefined symbol: \(symbol).
                   File: \(Fixture.folder)/libfixture_unresolved.so
                   To do: link everything it needs, and look at its libraries.
                   Nothing serves this handler: its routes answer 503 handler-unavailable; all others are served.
                """)
        #expect(names(in: workshop.run.path) == ["lock"])
    }

    @Test func `says which part of the file is not there`() throws {
        let folder = TemporaryFolder()
        let whole = contents(of: "\(builtModules)/libecho.so")
        folder.write("half.so", Array(whole.prefix(whole.count / 2)))
        let error = #expect(throws: ModuleError.self) { try Workshop(plugins: [folder.path]).load("half") }
        #expect(error?.stage == .probing)
        #expect(error?.reason.hasPrefix("its module cannot be loaded: it is incomplete: ") == true)
        #expect(error?.remedy == "wait until it is written completely, or build it again")
    }

    @Test func `keeps the generation that serves, and names it`() throws {
        let folder = TemporaryFolder()
        let workshop = try Workshop(plugins: [folder.path])
        let module = Module(handler: "feed")
        folder.write("feed.so", contents(of: "\(builtModules)/libecho.so"))
        let serving = try workshop.loader.load(module)
        module.makeLive(serving)
        _ = unlink("\(folder.path)/feed.so")
        folder.write("feed.so", contents(of: Fixture.file("entry_v2")))
        let error = #expect(throws: ModuleError.self) { try workshop.loader.load(module) }
        #expect(
            error?.description == """
                handler "feed": its module cannot be loaded: it needs ABI major 2, this gateway speaks 1.
                   File: \(folder.path)/feed.so
                   To do: build it against the gw_handler.h of this gateway.
                   Still serving: generation 1.
                """)
        #expect(module.current === serving)
        #expect(module.generations.count == 1)
    }

    @Test func `never touches the file again after it was copied`() throws {
        let folder = TemporaryFolder()
        let workshop = try Workshop(plugins: [folder.path])
        let path = folder.write("feed.so", contents(of: Fixture.file("works")))
        let generation = try workshop.load("feed")
        // Writing over a mapped library would kill this process at the next call.
        folder.write("feed.so", [UInt8](repeating: 0xCC, count: 100_000))
        #expect(truncate(path, 0) == 0)
        let instance = Instance(id: 1, routeIndex: 0, generation: generation)
        try instance.start(RouteSettings(route: "/", origin: "t:1"), timeout: .seconds(30))
        #expect(instance.phase == .running)
        #expect(try instance.stop(timeout: .seconds(30)))
    }

    @Test func `knows a new build by its digest`() throws {
        let folder = TemporaryFolder()
        let workshop = try Workshop(plugins: [folder.path])
        let module = Module(handler: "feed")
        let bytes = contents(of: "\(builtModules)/libecho.so")
        folder.write("feed.so", bytes)
        let generation = try workshop.loader.load(module)
        let same = try workshop.loader.prepare(module).digest
        folder.write("feed.so", bytes + [0])
        let other = try workshop.loader.prepare(module).digest
        #expect(same == generation.digest)
        #expect(other != generation.digest)
    }
}
