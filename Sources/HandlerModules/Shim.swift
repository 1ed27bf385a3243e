package enum ModuleProbe {
    package static func judge(_ c: borrowing Candidate, routes: [RouteSettings], timeout: Duration) throws(ModuleError) {}
}
extension ModuleLoader { package func prepare(_ m: Module, from: String) throws(ModuleError) -> Candidate { try prepare(m) } }
extension Generation { package func unload() -> String { "pinned" } }
