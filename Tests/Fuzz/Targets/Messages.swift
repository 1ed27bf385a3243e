@testable import GatewayServer

/// What another program of the gateway says is messages or refused; a message is read back as it was written.
func tryMessages(_ bytes: [UInt8]) -> Int32 {
    var reader = SuccessionReader(bytes)
    do {
        while let message = try reader.next(withDescriptors: false) {
            let first = written(message)
            var again = SuccessionReader(first)
            guard let read = try again.next(withDescriptors: false) else {
                fatalError("what was written is no message")
            }
            precondition(again.isBetweenMessages && written(read) == first, "it reads otherwise")
        }
    } catch {
        precondition(!"\(error)".isEmpty, "a refusal says why")
    }
    return 0
}

/// A message as it would be with its descriptors, which do not come along here.
private func written(_ message: SuccessionMessage) -> [UInt8] {
    var bytes = message.bytes
    bytes[6] = UInt8(message.kind.descriptors)
    return bytes
}
