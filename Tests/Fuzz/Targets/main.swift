import CFuzzer
import Glibc

/// What is tried, by name: each takes any bytes, and traps where a promise is broken.
let targets: [(name: String, body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32)] = [
    ("head", { start, count in tryHead(bytes(start, count)) }),
    ("frames", { start, count in tryFrames(bytes(start, count)) }),
    ("inflate", { start, count in tryInflate(bytes(start, count)) }),
    ("utf8", { start, count in tryUTF8(bytes(start, count)) }),
    ("configuration", { start, count in tryConfiguration(bytes(start, count)) }),
    ("elf", { start, count in tryELF(bytes(start, count)) }),
    ("control", { start, count in tryControlLine(bytes(start, count)) }),
    ("proxy", { start, count in tryProxyHeader(bytes(start, count)) }),
    ("http2", { start, count in tryHTTP2(bytes(start, count)) }),
    ("state", { start, count in tryState(bytes(start, count)) }),
    ("records", { start, count in tryRecords(bytes(start, count)) }),
    ("succession", { start, count in trySuccession(bytes(start, count)) }),
    ("ledger", { start, count in tryLedger(bytes(start, count)) }),
    ("messages", { start, count in tryMessages(bytes(start, count)) }),
    ("engine", { start, count in tryEngine(bytes(start, count)) }),
    ("echoes", { start, count in tryEchoes(bytes(start, count)) }),
    ("connection", { start, count in tryConnection(bytes(start, count)) }),
]

func bytes(_ start: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    Array(UnsafeBufferPointer(start: start, count: count))
}

let asked = CommandLine.arguments.dropFirst().first ?? ""
guard let target = targets.first(where: { $0.name == asked }) else {
    print(targets.map(\.name).joined(separator: "\n"))
    exit(asked == "--list" ? 0 : 2)
}
if ["connection", "echoes"].contains(asked) { prepareConnections() }
// libFuzzer sees its own arguments only.
var arguments = CommandLine.unsafeArgv + 1
var count = CommandLine.argc - 1
var pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = arguments
exit(LLVMFuzzerRunDriver(&count, &pointer, target.body))
