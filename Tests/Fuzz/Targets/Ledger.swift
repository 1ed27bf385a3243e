import Bytes
import GatewayIO
import Glibc

@testable import GatewayServer

/// A ledger in which stands what a process that nobody vouches for may have left: whatever that is, a connection goes on
/// with a record that reads as it is written, or not at all.
private let ledger: (memory: Ledger, reader: LedgerReader) = {
    guard let file = try? Ledger.makeFile(workers: 1, capacity: 4), let memory = try? Ledger(mapping: file),
        let reader = try? LedgerReader(file)
    else { fatalError("no memory for a ledger") }
    return (memory, reader)
}()

private func put(_ bytes: ArraySlice<UInt8>, at offset: Int, of id: ConnectionID) {
    Array(bytes).withUnsafeBytes { ledger.memory.memory.write($0, at: offset + LedgerBlob.header) }
    LedgerBlob.seal(ledger.memory.memory, at: offset, length: bytes.count, of: id.number)
}

/// - Parameter bytes: the words of the entry that point at nothing, how what lies behind it is divided, and that: what has
///   been read, a checkpoint, half a message, output, and a record.
func tryLedger(_ bytes: [UInt8]) -> Int32 {
    let layout = ledger.memory.layout
    let id = ConnectionID(worker: 0, slot: 1, serial: 5)
    guard bytes.count >= 80, let slot = layout.slot(of: id) else { return 0 }
    func word(_ index: Int) -> UInt64 {
        bytes[index * 8..<index * 8 + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
    var rest = bytes[80...]
    func part(_ index: Int) -> ArraySlice<UInt8> {
        let part = rest.prefix(Int(bytes[72 + index]))
        rest = rest.dropFirst(part.count)
        return part
    }
    let (input, checkpoint, message, output) = (part(0), part(1), part(2), part(3))
    let arena = layout.arena(0).lowerBound
    var entry = LedgerEntry()
    for index in 0..<6 { entry[index + 1] = word(index) }
    entry[.id] = id.number
    entry[.outputStart] = word(6)
    // Only the number of the record in it has to be the connection's.
    put(rest, at: arena, of: id)
    entry[.record] = UInt64(arena)
    for (word, part, page) in [
        (LedgerEntry.Word.checkpoint, checkpoint, 1), (.message, message, 2), (.output, output, 3),
    ] {
        if part.isEmpty { continue }
        put(part, at: arena + (page << 20), of: id)
        entry[word] = UInt64(arena + (page << 20))
    }
    entry.messageLength = message.isEmpty ? 0 : LedgerBlob.size(message.count)
    entry.outputLength = output.isEmpty ? 0 : LedgerBlob.size(output.count)
    Array(input).withUnsafeBytes { ledger.memory.memory.write($0, at: layout.inputBytes(0)) }
    ledger.memory.memory.store(input.isEmpty ? 0 : id.number, at: layout.input(0))
    ledger.memory.memory.store(entry[.bytesIn], at: layout.input(0) + 8)
    ledger.memory.memory.store(UInt64(input.count), at: layout.input(0) + 16)
    for index in 0..<LedgerEntry.count {
        ledger.memory.memory.store(entry[index], at: slot + LedgerSlot.entry(2) + index * 8)
    }
    ledger.memory.memory.store(entry.sum(2), at: slot + LedgerSlot.entry(2) + LedgerEntry.count * 8)
    ledger.memory.memory.publish(2, at: slot)
    switch ledger.reader.finding(of: id, at: word(7)) {
    case .goesOn(let record), .died(.some(let record)), .lost(_, .some(let record)):
        precondition(record.id == id.number, "it is another connection's")
        precondition((try? ConnectionRecord(record.bytes)) == record, "what was written reads otherwise")
        for number: UInt64 in 0..<4 {
            if let less = record.withoutMessage(number) {
                precondition(less.input.leftover.count < record.input.leftover.count, "nothing was left out")
            }
        }
    case .given(let record):
        precondition(record.id == id.number, "it is another connection's")
        precondition((try? ConnectionRecord(record.bytes)) == record, "what was written reads otherwise")
    case .absent, .arriving: preconditionFailure("an entry is there")
    case .gone, .died(nil): break
    case .lost(let why, nil): precondition(!why.isEmpty, "a loss has a reason")
    }
    return 0
}
