/// A wrong command line of the load generator.
package struct LoadUsageError: Error, Equatable, Sendable {
    /// What is wrong, in a sentence.
    package let sentence: String
    /// The option that is not known, if that is what is wrong.
    package let unknownOption: String?

    package init(_ sentence: String, unknownOption: String? = nil) {
        self.sentence = sentence
        self.unknownOption = unknownOption
    }
}
