/// A module that was copied and examined, and of which nothing has run yet; the copy goes with it unless it is loaded.
package final class Candidate: Sendable {
    package let handler: String
    /// The number that its generation gets, should it come to serve.
    package let number: UInt64
    /// The file it was copied from.
    package let source: String
    package let image: ELFImage
    let staged: StagedModule

    init(handler: String, number: UInt64, source: String, image: ELFImage, staged: consuming StagedModule) {
        self.handler = handler
        self.number = number
        self.source = source
        self.image = image
        self.staged = staged
    }

    /// The copy, which a probe process may open.
    package var path: String { staged.path }
    /// The same digest as the current generation's means that there is nothing to do.
    package var digest: UInt64 { staged.digest }
}
