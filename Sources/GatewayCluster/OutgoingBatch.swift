import Bytes
import GatewayIO

/// Publications as an engine takes them: each where its publisher has put it, behind a head that is written here, or cut
/// into parts where the engine does not take it whole.
@safe final class OutgoingBatch {
    private(set) var publications: [Engine.Publication] = unsafe []
    /// Of each entry: its run, and where it is in that.
    private var places: [(run: Int, index: Int)] = []
    /// Behind which publication each entry ends.
    private var ends: [Int] = []
    private let lent: [PublicationRun]
    private var copies: [SendablePointer<UnsafeMutableRawBufferPointer>] = unsafe []

    /// - Parameter room: bytes that the engine takes; 0 when no limit is known.
    init(_ lent: [PublicationRun], from done: Int, room: Int, origin: UInt64) {
        self.lent = lent
        let count = lent.reduce(-done) { $0 + $1.count }
        places.reserveCapacity(count)
        ends.reserveCapacity(count)
        unsafe publications.reserveCapacity(count)
        let most = room == 0 ? Int.max : max(1024, room) - Envelope.headLength
        // Publications know when they were by the clock that no one sets.
        let clocks = ClusterInbox.wallMicroseconds() &- Clock.monotonicNanoseconds() / 1000
        var skipped = done
        for (number, run) in lent.enumerated() {
            for index in min(skipped, run.count)..<run.count {
                let entry = run[index]
                let head = Envelope(
                    kind: .publication, flags: entry.flags, origin: origin, number: entry.number,
                    sent: clocks &+ entry.at / 1000)
                places.append((number, index))
                if entry.count <= most {
                    unsafe head.write(before: run.whole(entry))
                    unsafe append(run.name(of: entry), run.whole(entry))
                } else {
                    cut(run, entry, head, most)
                }
                unsafe ends.append(publications.count)
            }
            skipped -= min(skipped, run.count)
        }
    }

    deinit { for index in unsafe copies.indices { unsafe copies[index].pointer.deallocate() } }

    private func append(_ name: NumberedName, _ data: UnsafeMutableRawBufferPointer) {
        unsafe publications.append(.init(name: name.bytes, data: UnsafeRawBufferPointer(data)))
    }

    private func cut(_ run: PublicationRun, _ entry: PublicationRun.Entry, _ head: Envelope, _ most: Int) {
        var head = head
        head.parts = UInt32((entry.count + most - 1) / most)
        for part in 0..<head.parts {
            head.part = part
            let range = Int(part) * most..<min(entry.count, (Int(part) + 1) * most)
            let copy = UnsafeMutableRawBufferPointer.allocate(
                byteCount: Envelope.headLength + range.count, alignment: 8)
            unsafe copies.append(SendablePointer(copy))
            unsafe UnsafeMutableRawBufferPointer(rebasing: copy[Envelope.headLength...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: run.payload(entry)[range]))
            unsafe head.write(before: copy)
            unsafe append(run.name(of: entry), copy)
        }
    }

    /// How many entries are in it, and how many of them when the engine has taken so many publications.
    var count: Int { places.count }
    func whole(upTo taken: Int) -> Int { ends.prefix { $0 <= taken }.count }

    /// One that is not to be sent.
    func entry(_ index: Int) -> (PublicationRun.Entry, to: NumberedName) {
        let run = lent[places[index].run], entry = run[places[index].index]
        return (entry, run.name(of: entry))
    }
}
