import GatewayIO
import HTTP

@testable import GatewayHTTP2

/// A connection of HTTP/2 that a stranger fills, and whose streams are used meanwhile as the gateway uses them: nothing that
/// comes traps, no stream holds more than its window, what has failed takes nothing more, and after the end there is none left.
func tryHTTP2(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    var cuts = Cuts(&input)
    var acts = input.bytes(16)
    let settings = HTTP2Settings(maxStreams: 8, maxHeaderList: 1024)
    guard let session = HTTP2Session(.server, settings, HTTP2Underlay(), SpareBuffer()) else {
        preconditionFailure("no session")
    }
    let stream = preface + input.all()
    var position = 0
    var open: [HTTP2Stream] = []
    while position < stream.count {
        let count = cuts.next(of: stream.count - position)
        let goesOn = stream[position..<position + count].withUnsafeBytes { session.receive($0, now: 0) }
        position += count
        for each in session.takeTouched() where !open.contains(where: { $0 === each }) { open.append(each) }
        for each in open { use(each, acts.popLast() ?? 0, session) }
        drain(session)
        open.removeAll { $0.isLeft }
        if !goesOn { break }
    }
    if session.failure != nil {
        precondition(!stream.withUnsafeBytes { session.receive($0, now: 0) }, "a connection that failed goes on")
    }
    session.cutOff()
    precondition(session.streamCount == 0, "streams outlive their connection")
    return 0
}

/// The preface, and SETTINGS that ask for nothing.
private let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + [0, 0, 0, 4, 0, 0, 0, 0, 0]

private func use(_ stream: HTTP2Stream, _ act: UInt8, _ session: HTTP2Session) {
    precondition(
        stream.bytesKept <= 2 * (HTTP2Settings.streamWindow + HTTP2Stream.roomForOutput) + 8192,
        "a stream holds \(stream.bytesKept) bytes")
    let socket = Socket(adopting: -1)
    var room = [UInt8](repeating: 0, count: act & 1 == 0 ? 100_000 : 7)
    if act & 2 == 0 { _ = room.withUnsafeMutableBytes { stream.read(socket, into: $0) } }
    if act & 4 != 0, !stream.hasAnswered { stream.answer(FieldList(status: act & 8 == 0 ? 200 : 404)) }
    if act & 16 != 0, stream.hasAnswered { _ = room.withUnsafeBytes { stream.write(socket, $0) } }
    if act & 32 != 0, stream.hasAnswered { stream.finishSending(socket) }
    if act & 64 != 0 {
        if act & 128 != 0 { stream.resetOnClose() }
        stream.close()
    }
}

private func drain(_ session: HTTP2Session) {
    var given = 0
    precondition(session.collect(atMost: 1 << 20) { given += $0.count }, "nghttp2 cannot go on")
    for stream in session.takeRoomy() { precondition(!stream.isLeft, "a stream that was left is told of room") }
}
