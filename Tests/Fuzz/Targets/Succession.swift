@testable import GatewayServer

/// What another program wrote of a connection is a value or refused; a value is read back as it was written.
func trySuccession(_ bytes: [UInt8]) -> Int32 {
    let record: ConnectionRecord
    do {
        record = try ConnectionRecord(bytes)
    } catch {
        precondition(!"\(error)".isEmpty, "a refusal says why")
        return 0
    }
    precondition((try? ConnectionRecord(record.bytes)) == record, "what was written reads otherwise")
    return 0
}
