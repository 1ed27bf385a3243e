@testable import HandlerModules

/// What an earlier process left on the disk, and what a probe process says through its pipe, is read or let be; what is
/// read is written and read again as the same.
func tryRecords(_ bytes: [UInt8]) -> Int32 {
    if let request = ProbeRequest(bytes) {
        precondition(ProbeRequest(request.bytes) == request, "a request to a probe reads otherwise")
    }
    let steps = ProbeStep.all(in: bytes)
    precondition(ProbeStep.all(in: steps.flatMap(\.bytes)) == steps, "the steps of a probe read otherwise")
    let text = String(decoding: bytes, as: UTF8.self)
    let standing = Standing(text: text)
    precondition(Standing(text: standing.text) == standing, "what was decided of a handler reads otherwise")
    if let crash = CrashRecord(line: text) {
        precondition(!"\(crash)".isEmpty, "a crash can be told of")
    }
    return 0
}
