/// A wrong command line of the load generator.
package struct LoadUsageError: Error, Equatable, Sendable {
    /// What is wrong, in a sentence.
    package let sentence: String

    package init(_ sentence: String) { self.sentence = sentence }
}
