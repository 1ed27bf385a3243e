/// What the process of a handler says to a question of the first process.
struct ProcessAnswer: Sendable {
    enum Subject: Sendable {
        case connections(ConnectionBatch)
        case trace(TraceBatch)
    }

    /// The number that the question had.
    var question: UInt64
    var subject: Subject
}

extension ProcessAnswer {
    func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, question)
        switch subject {
        case .connections(let batch):
            writer.put(2, UInt8(1))
            batch.put(&writer)
        case .trace(let batch):
            writer.put(2, UInt8(2))
            batch.put(&writer)
        }
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        question = try fields.number(1)
        switch try fields.number(2) as UInt8 {
        case 1: subject = .connections(try ConnectionBatch(fields))
        case 2: subject = .trace(try TraceBatch(fields))
        case let kind: throw fields.failure("\(kind) is no kind of an answer")
        }
    }
}
