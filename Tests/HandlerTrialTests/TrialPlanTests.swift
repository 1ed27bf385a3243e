import Testing

@testable import HandlerTrial

@Suite("A trial serves the module on a route of its own")
struct TrialPlanTests {
    @Test(arguments: [
        ("shout.so", "shout"), ("./a/libchat.so", "chat"), ("/x/lib.so", "lib"), ("my-echo.1.so", "my-echo.1"),
        (".so", "handler"), ("a b.so", "handler"), ("module", "module"),
    ])
    func `the handler is called like the file`(_ file: String, _ name: String) {
        #expect(TrialPlan(file: file).handler == name)
    }

    @Test(arguments: [
        ("/trial", "/trial"), ("/", "/"), ("/rooms/:room", "/rooms/one"), ("/feed/*", "/feed/some/where"),
        ("/a/:b/*", "/a/one/some/where"),
    ])
    func `clients ask for a path of the route`(_ route: String, _ path: String) {
        var plan = TrialPlan(file: "a.so")
        plan.route = route
        #expect(plan.path == path)
    }

    @Test
    func `settings reach the configuration whatever is in them`() {
        var plan = TrialPlan(file: "a.so")
        plan.settings = [TrialPlan.Setting(key: "say", value: #"a "b" \ ; }"#)]
        #expect(plan.configuration.contains(#"set "say" "a \"b\" \\ ; }";"#))
    }
}
