/// The module that the process of a handler loads: the first process has found it, copied it, and tried it.
struct GivenModule: Sendable, Equatable {
    let path: String
    /// The number of its generation.
    let generation: UInt64

    init(path: String, generation: UInt64) { (self.path, self.generation) = (path, generation) }

    /// - Parameter text: `GENERATION:PATH`.
    init?(_ text: String) {
        let words = text.split(separator: ":", maxSplits: 1)
        guard words.count == 2, let generation = UInt64(words[0]), words[1].hasPrefix("/") else { return nil }
        self.init(path: String(words[1]), generation: generation)
    }

    var text: String { "\(generation):\(path)" }
}
