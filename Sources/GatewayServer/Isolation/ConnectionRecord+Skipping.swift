import WebSocket

extension ConnectionRecord {
    /// The same without a message of those that have come and not been handled.
    ///
    /// - Parameter number: which of them, from 1 on; the one that has come by half counts.
    /// - Returns: nil where there is no such one, or not the whole of it.
    func withoutMessage(_ number: UInt64) -> ConnectionRecord? {
        // Later ones may refer to it.
        if let compression, !compression.parameters.clientNoContextTakeover { return nil }
        guard let cut = place(ofMessage: number) else { return nil }
        var record = self
        record.input.leftover.removeSubrange(cut.bytes)
        if cut.hasBegun {
            record.input.frames = FrameReader.Snapshot()
            record.input.frames.allowsCompression = input.frames.allowsCompression
            record.input.message = []
        }
        return try? ConnectionRecord(record.bytes)
    }

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
