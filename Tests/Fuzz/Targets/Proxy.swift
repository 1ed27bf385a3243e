@testable import GatewayIO

/// What the front of a connection came to.
private enum Outcome: Equatable {
    case needMore
    case header(length: Int, peer: String?)
    case refused(ProxyHeader.Failure)
}

/// A PROXY header comes to the same however packets cut it, takes nothing of what follows it, and is bounded.
func tryProxyHeader(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    var cuts = Cuts(&input)
    let stream = input.all()
    let whole = read(stream) { $0 }
    let cut = read(stream) { cuts.next(of: $0) }
    precondition(whole == cut, "cutting changes a PROXY header: \(whole) or \(cut)")
    if case .header(let length, _) = whole {
        precondition(read(Array(stream[..<length])) { $0 } == whole, "what follows changes a PROXY header")
        precondition(read(Array(stream[..<(length - 1)])) { $0 } == .needMore, "a PROXY header is whole too early")
    } else {
        precondition(whole != .needMore || stream.count < ProxyHeader.mostBytes, "a PROXY header never ends")
    }
    return 0
}

private func read(_ stream: [UInt8], _ part: (Int) -> Int) -> Outcome {
    var header = ProxyHeader()
    var position = 0
    do throws(ProxyHeader.Failure) {
        while position < stream.count {
            let count = part(stream.count - position)
            let used = try header.take(Array(stream[position..<position + count]))
            position += used
            precondition(used == count || header.isWhole, "a PROXY header leaves bytes although it needs more")
            if header.isWhole { return .header(length: position, peer: header.peer?.description) }
        }
    } catch {
        return .refused(error)
    }
    precondition(!header.isWhole && header.hasBegun == (position > 0), "a PROXY header is not where it says it is")
    return .needMore
}
