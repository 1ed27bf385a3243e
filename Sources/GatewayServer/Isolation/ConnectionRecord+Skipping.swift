import CGatewayABI
import WebSocket

extension ConnectionRecord {
    /// The same without a message of those that have come and not been handled.
    ///
    /// - Parameter number: which of them, from 1 on; the one that has come by half counts.
    /// - Returns: nil where there is no such one, or not the whole of it.
    func withoutMessage(_ number: UInt64) -> ConnectionRecord? {
        let queued = input.queuedMessages
        if number <= queued { return withoutQueuedMessage(number) }
        // Later ones may refer to it.
        if let compression, !compression.parameters.clientNoContextTakeover { return nil }
        guard let cut = place(ofMessage: number - queued) else { return nil }
        var record = self
        record.input.leftover.removeSubrange(cut.bytes)
        if cut.hasBegun {
            record.input.frames = FrameReader.Snapshot()
            record.input.frames.allowsCompression = input.frames.allowsCompression
            record.input.message = []
        }
        return try? ConnectionRecord(record.bytes)
    }

    /// Later ones do not refer to what was decompressed before.
    private func withoutQueuedMessage(_ number: UInt64) -> ConnectionRecord? {
        var (record, passed) = (self, UInt64(0))
        for (index, each) in input.queued.enumerated() where each.endsMessage {
            passed += 1
            guard passed == number else { continue }
            // Nor may the handler be given the rest of it.
            guard each.flags & UInt32(GW_FIRST) != 0 else { return nil }
            record.input.queued.remove(at: index)
            return try? ConnectionRecord(record.bytes)
        }
        return nil
    }

    /// How many messages the handler is done with of those that have been read.
    var handledMessages: UInt64 { traffic.messagesIn &- input.queuedMessages }

    /// The next process has a whole message, or a request, to give to the handler.
    var owesAnswer: Bool {
        if input.leftover.isEmpty || input.isReadingOff { return false }
        return phase == .head || place(ofMessage: 1) != nil
    }

    /// Where a message lies in what has come, with control frames between its fragments, and whether it begins before that.
    private func place(ofMessage number: UInt64) -> (bytes: Range<Int>, hasBegun: Bool)? {
        guard number > 0, var reader = FrameReader(resuming: input.frames) else { return nil }
        var bytes = input.leftover
        return unsafe bytes.withUnsafeMutableBytes { bytes in
            var (position, start, passed) = (0, 0, UInt64(0))
            var hasBegun = reader.isInsideMessage
            while position < bytes.count {
                if reader.isBetweenMessages { (start, hasBegun) = (position, false) }
                switch unsafe reader.next(in: bytes, from: &position, limits: .init(frame: .max / 4, message: .max / 4))
                {
                case .piece(let piece) where piece.isLast:
                    passed += 1
                    if passed == number { return (start..<position, hasBegun) }
                case .piece, .control: continue
                case .needMore, .violation: return nil
                }
            }
            return nil
        }
    }
}
