extension ModuleLoader {
    package func prepare(_ m: Module, from: String) throws(ModuleError) -> Candidate { try prepare(m) }
}
extension Generation { package func unload() -> String { "pinned" } }
