/// Which publication it is: no other one to the same topic has the same.
package struct PublicationID: Sendable, Equatable {
    /// What its gateway publishes under.
    package var origin: UInt64
    /// Each one to a topic has a higher number than those before it.
    package var number: UInt64

    package init(origin: UInt64, number: UInt64) { (self.origin, self.number) = (origin, number) }
}
