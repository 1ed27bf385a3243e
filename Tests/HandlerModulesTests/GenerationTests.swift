import HandlerModules
import Testing

@Suite("A generation")
struct GenerationTests {
    @Test func `goes from loading over retiring to its end`() throws {
        let generation = try Workshop().load("echo")
        #expect(generation.phase == .loading)
        generation.retire()
        #expect(generation.phase == .retiring)
        generation.end()
        #expect(generation.phase == .ended)
    }

    @Test func `keeps its host table, whatever thread asks for it`() async throws {
        let generation = try Workshop().load("echo")
        let address = UInt(bitPattern: generation.host)
        #expect(address != 0)
        #expect(await Task.detached { UInt(bitPattern: generation.host) }.value == address)
    }
}
