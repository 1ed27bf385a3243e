/// A module that was copied and examined, and of which nothing has run yet; the copy goes with it unless it is loaded.
package struct Candidate: ~Copyable {
    package let handler: String
    package let number: UInt64
    /// The file it was copied from.
    package let source: String
    package let image: ELFImage
    var staged: StagedModule

    /// The copy, which a probe process may open.
    package var path: String { staged.path }
    /// The same digest as the current generation's means that there is nothing to do.
    package var digest: UInt64 { staged.digest }
}
