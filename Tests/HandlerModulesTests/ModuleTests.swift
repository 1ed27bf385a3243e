import HandlerModules
import Testing

@Suite("One generation of a module gets the new connections")
struct ModuleTests {
    @Test func `commits, rolls back and forgets`() throws {
        let workshop = try Workshop()
        let module = Module(handler: "echo")
        #expect(module.current == nil)
        let one = try workshop.loader.load(module)
        #expect(module.current == nil, "loaded is not live")
        #expect(module.nextNumber == 1, "and is not counted")
        #expect(module.makeLive(one) == nil)
        let two = try workshop.loader.load(module)
        #expect(module.current === one)
        #expect(module.makeLive(two) === one)
        #expect([one.phase, two.phase] == [.retiring, .live])
        #expect(module.makeLive(one) === two, "rollback")
        #expect([one.phase, two.phase] == [.live, .retiring])
        #expect(module.makeLive(one) == nil)
        #expect(module.current === one)
        two.end()
        #expect(module.forgetEnded().map { $0.number } == [2])
        #expect(module.generations.map { $0.number } == [1])
    }

    @Test func `is one for each handler, or the second cannot load`() throws {
        let workshop = try Workshop()
        _ = try workshop.load("echo")
        let error = #expect(throws: ModuleError.self) { try workshop.load("echo") }
        #expect(error?.reason == "its module was not taken: it cannot be copied (link: File exists)")
    }

    @Test func `counts what came to serve, and no path is used twice`() throws {
        let workshop = try Workshop()
        let module = workshop.module("fixture_null_table")
        var paths: Set<String> = []
        for _ in 1...3 {
            let candidate = try workshop.loader.prepare(module)
            #expect(candidate.number == 1)
            #expect(paths.insert(candidate.path).inserted)
            do throws(ModuleError) {
                _ = try workshop.loader.activate(candidate, of: module)
                Issue.record("took it")
            } catch {
                #expect(error.stage == .loading)
            }
        }
        #expect(module.generations.isEmpty)
    }
}
