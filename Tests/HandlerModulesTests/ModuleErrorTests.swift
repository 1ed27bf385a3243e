import HandlerModules
import Testing

@Suite("An error says what, where, what to do, and what still works")
struct ModuleErrorTests {
    private let error = ModuleError(
        handler: "feed", stage: .loading, reason: "its module is missing a leg", place: "File: /srv/feed.so",
        remedy: "give it one")

    @Test func `names the generation that serves`() {
        #expect(
            error.serving(2).description == """
                handler "feed": its module is missing a leg.
                   File: /srv/feed.so
                   To do: give it one.
                   Still serving: generation 2.
                """)
    }

    @Test func `says what happens when none does`() {
        #expect(
            error.description == """
                handler "feed": its module is missing a leg.
                   File: /srv/feed.so
                   To do: give it one.
                   Nothing serves this handler: its routes answer 503 handler-unavailable; all others are served.
                """)
    }
}
