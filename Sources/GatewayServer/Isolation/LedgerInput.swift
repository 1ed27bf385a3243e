import Bytes

/// What a worker reads in an event, as it comes, until the connection is written down as it is then: where it dies before,
/// the next process reads that once more.
struct LedgerInput {
    private let ledger: Ledger
    private let worker: Int
    /// It is being taken from the kernel.
    private var isReading = false
    /// Bytes that are kept.
    private var count = 0

    init(_ ledger: Ledger, _ worker: Int) { (self.ledger, self.worker) = (ledger, worker) }

    /// Bytes of a connection are taken from the kernel, behind those of the same event.
    mutating func begin(_ peer: ConnectionPointer) {
        isReading = true
        ledger.memory.publish(peer.pointee.id.number, at: ledger.layout.reading(worker))
    }

    /// Keeps them, before anybody changes them. More than there is room for are as good as lost.
    mutating func keep(_ peer: ConnectionPointer, _ bytes: UnsafeRawBufferPointer, then more: UnsafeRawBufferPointer) {
        guard isReading, count + bytes.count + more.count <= LedgerLayout.inputRoom else { return }
        let (words, start) = (ledger.layout.input(worker), ledger.layout.inputBytes(worker) + count)
        unsafe ledger.memory.write(bytes, at: start)
        if unsafe !more.isEmpty { unsafe ledger.memory.write(more, at: start + bytes.count) }
        if count == 0 {
            ledger.memory.store(peer.pointee.bytesIn, at: words + 8)
            ledger.memory.store(peer.pointee.id.number, at: words)
        }
        count += bytes.count + more.count
        ledger.memory.publish(UInt64(count), at: words + 16)
        finishReading()
    }

    /// The connection has been written down. Until then the entry said that this had not come, and now it does.
    mutating func end() {
        if count > 0 {
            count = 0
            ledger.memory.publish(0, at: ledger.layout.input(worker))
        }
        finishReading()
    }

    private mutating func finishReading() {
        guard isReading else { return }
        isReading = false
        ledger.memory.publish(0, at: ledger.layout.reading(worker))
    }
}
