/// A queue in one run of memory: taking from its front moves nothing.
struct Fifo<Element> {
    private var items: [Element?] = []
    private var head = 0

    /// So many taken places are kept before the rest moves to the front.
    private static var slack: Int { 64 }

    var count: Int { items.count - head }
    var isEmpty: Bool { head == items.count }
    /// The next one; nil when there is none.
    var first: Element? { isEmpty ? nil : items[head] }

    mutating func append(_ element: Element) { items.append(element) }

    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        let element = items[head]
        items[head] = nil
        head += 1
        if isEmpty {
            items.removeAll(keepingCapacity: items.count <= Self.slack)
            head = 0
        } else if head >= Self.slack, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
        return element
    }
}
