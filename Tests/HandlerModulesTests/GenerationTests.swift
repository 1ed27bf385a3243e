import Glibc
import HandlerModules
import Synchronization
import Testing

@Suite("A generation ends when nothing holds on to it, and only then")
struct GenerationTests {
    @Test func `counts its pins`() throws {
        let generation = try Workshop().load("echo")
        #expect(generation.pin())
        #expect(generation.pin())
        #expect(generation.pinned == 2)
        #expect(!generation.end())
        #expect(!generation.unpin())
        #expect(generation.unpin(), "the last one is told so")
        #expect(generation.end())
        #expect(generation.end(), "ending twice is harmless")
        #expect(generation.phase == .ended)
        #expect(!generation.pin())
        #expect(generation.pinned == 0)
    }

    @Test func `no pin succeeds after the end, however threads race`() throws {
        let workshop = try Workshop()
        let module = Module(handler: "echo")
        for _ in 0..<8 {
            let generation = try workshop.loader.load(module)
            let race = Race(generation)
            let threads = (0..<3).map { _ in race.startThread() }
            while !generation.end() { sched_yield() }
            race.isOver.store(true, ordering: .releasing)
            for thread in threads { pthread_join(thread, nil) }
            #expect(race.pinsAfterTheEnd.load(ordering: .relaxed) == 0)
            #expect(generation.pinned == 0)
        }
    }

    /// Threads that pin and unpin while the generation ends.
    final class Race: Sendable {
        let generation: Generation
        let isOver = Atomic(false)
        let pinsAfterTheEnd = Atomic(0)

        init(_ generation: Generation) {
            self.generation = generation
        }

        func startThread() -> pthread_t {
            var thread = pthread_t()
            let body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { passed in
                Unmanaged<Race>.fromOpaque(passed!).takeRetainedValue().run()
                return nil
            }
            pthread_create(&thread, nil, body, Unmanaged.passRetained(self).toOpaque())
            return thread
        }

        /// Bounded, so that the end comes also where threads are served unfairly.
        private func run() {
            for _ in 0..<5_000 {
                let wasOver = isOver.load(ordering: .acquiring)
                guard generation.pin() else { return }
                if wasOver || generation.phase == .ended { pinsAfterTheEnd.wrappingAdd(1, ordering: .relaxed) }
                generation.unpin()
            }
        }
    }
}
