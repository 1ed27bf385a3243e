extension SuccessionMessage.HandlerNews {
    func put(_ writer: inout MessageFieldWriter) {
        writer.put(1, handler)
        for each in taken { writer.put(2, each) }
        for each in ended { writer.put(3, each) }
        writer.put(4, isKept)
        writer.put(5, isGone)
    }

    init(_ fields: MessageFieldReader) throws(SuccessionFailure) {
        self.init(handler: try fields.demand(fields.text(1), 1))
        (taken, ended) = (try fields.numbers(2), try fields.numbers(3))
        (isKept, isGone) = (try fields.flag(4), try fields.flag(5))
    }
}
