/// Makes the runtime look a generation's types up before clients wait for it.
///
/// The first time a type is asked whether it conforms to a protocol, the runtime searches every module ever loaded,
/// and after many reloads that takes a while. String interpolation and printing an error ask these questions.
enum TypePrewarming {
    /// Asks them for each of `types`; what the answers are does not matter. [control]
    // Unoptimised, or the optimiser would leave out what has no result.
    @_optimize(none)
    static func prewarm(_ types: [Any.Type]) {
        for type in types {
            _ = type is any TextOutputStreamable.Type
            _ = type is any CustomStringConvertible.Type
            _ = type is any CustomDebugStringConvertible.Type
            _ = type is any Error.Type
        }
    }
}
