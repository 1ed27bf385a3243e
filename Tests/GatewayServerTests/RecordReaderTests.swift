import TestSupport
import Testing

@testable import GatewayServer

@Suite("Records are read by older and newer programs, and believed by none")
struct RecordReaderTests {
    enum Tag: UInt16, RecordTag {
        case number = 1
        case text = 2
        case inner = 3
        case none = 4
    }

    struct Inner: RecordValue, Equatable {
        var number: UInt32 = 0

        init(number: UInt32) { self.number = number }

        init(from reader: inout RecordReader) throws(RecordError) {
            while let field = try reader.next() {
                if field.tag == Tag.number.rawValue { number = try field.number() }
            }
        }

        func encode(into writer: inout RecordWriter) { writer.write(Tag.number, number) }
    }

    private func fields(_ bytes: [UInt8]) throws -> [RecordField] {
        var reader = try RecordReader(bytes, knows: 1)
        var fields: [RecordField] = []
        while let field = try reader.next() { fields.append(field) }
        return fields
    }

    private func written(_ write: (inout RecordWriter) -> Void) -> [UInt8] {
        var writer = RecordWriter(version: 1, least: 1)
        write(&writer)
        return writer.bytes
    }

    @Test func `a record is these bytes`() {
        let bytes = written {
            $0.write(Tag.number, 0x0102 as UInt16)
            $0.write(Tag.inner, Inner(number: 5))
        }
        #expect(bytes == [1, 0, 1, 0, 1, 0, 2, 0, 0, 0, 2, 1, 3, 0, 10, 0, 0, 0, 1, 0, 4, 0, 0, 0, 5, 0, 0, 0])
    }

    @Test func `values of all kinds are read as they were written`() throws {
        let fields = try fields(
            written {
                $0.write(Tag.number, UInt64.max)
                $0.write(Tag.number, true)
                $0.write(Tag.text, "añ")
                $0.write(Tag.text, [0xFF])
                $0.write(Tag.inner, each: [Inner(number: 0), Inner(number: 7)])
            })
        #expect(fields.map(\.tag) == [1, 1, 2, 2, 3, 3])
        #expect(try fields[0].number() == UInt64.max && fields[1].flag())
        #expect(try fields[2].text() == "añ" && fields[3].bytes() == [0xFF])
        #expect(try fields[4].value() == Inner(number: 0) && fields[5].value() == Inner(number: 7))
    }

    @Test func `what is nothing takes no room, unless that is another thing`() throws {
        let empty = written {
            $0.write(Tag.number, 0 as UInt8)
            $0.write(Tag.number, false)
            $0.write(Tag.text, "")
            $0.write(Tag.text, [])
            $0.write(Tag.text, ifAny: nil as String?)
            $0.write(Tag.number, ifAny: nil as UInt8?)
            $0.write(Tag.inner, nil as Inner?)
        }
        #expect(empty.count == 4)
        let some = try fields(
            written {
                $0.write(Tag.number, ifAny: 0 as UInt8)
                $0.write(Tag.text, ifAny: "")
                $0.write(Tag.text, ifAny: [] as [UInt8])
            })
        #expect(some.map(\.bytes.count) == [1, 0, 0])
    }

    @Test func `a number has any width that it fits into`() throws {
        let fields = try fields(
            written {
                $0.write(Tag.number, 300 as UInt64)
                $0.write(Tag.number, 3 as UInt8)
                $0.write(Tag.text, "123456789")
                $0.write(Tag.text, ifAny: "")
                $0.write(Tag.number, UInt64.max)
            })
        #expect(try fields[0].number() == 300 as UInt16 && fields[1].number() == 3 as UInt64)
        #expect(throws: fields[0].error(.isOutOfRange)) { try fields[0].number() as UInt8 }
        #expect(throws: fields[2].error(.isNoNumber)) { try fields[2].number() as UInt64 }
        #expect(throws: fields[3].error(.isNoNumber)) { try fields[3].flag() }
        #expect(throws: fields[4].error(.isOutOfRange)) { try fields[4].count() }
    }

    @Test func `errors say what and where`() throws {
        let bytes = written {
            $0.write(Tag.number, 7 as UInt8)
            $0.write(Tag.text, [0xFF, 0xFE])
        }
        let text = try fields(bytes)[1]
        #expect(throws: text.error(.isNoText)) { try text.text() }
        #expect(throws: text.error(.isTooLong)) { try text.bytes(atMost: 1) }
        #expect(throws: text.error(.isTooLong)) { try text.text(atMost: 1) }
        #expect(text.error(.isNoText).description == "byte 17, field 2: it is not UTF-8")
        #expect(
            RecordError(reason: .isTooNew(least: 9), offset: 2).description
                == "byte 2: it is for programs that know version 9 of records")
        var inner: [Inner] = []
        #expect(throws: text.error(.areTooMany)) { try text.append(to: &inner, atMost: 0) }
    }

    @Test func `a newer writer says whom it may confuse`() throws {
        var writer = RecordWriter(version: 3, least: 2)
        writer.write(Tag.number, 7 as UInt8)
        #expect(throws: RecordError(reason: .isTooNew(least: 2), offset: 2)) { try fields(writer.bytes) }
        let tolerant = RecordWriter(version: 3, least: 1)
        #expect(try fields(tolerant.bytes).isEmpty)
    }

    @Test func `what is cut off anywhere is an error, or was between two fields`() throws {
        let bytes = written {
            $0.write(Tag.number, 7 as UInt32)
            $0.write(Tag.text, "text")
        }
        for count in 0..<bytes.count {
            let cut = Array(bytes[..<count])
            if count == 4 || count == 14 {
                #expect(try fields(cut).count == (count == 4 ? 0 : 1))
            } else {
                #expect(throws: RecordError.self) { try fields(cut) }
            }
        }
        #expect(throws: RecordError(reason: .isCutOff, offset: 4, tag: 1)) {
            try fields([1, 0, 1, 0, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0])
        }
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func `no bytes make it trap`(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let bytes = [1, 0, 1, 0] + random.bytes(Int.random(in: 0...64, using: &random))
        let fields = (try? fields(bytes)) ?? []
        for field in fields {
            _ = try? field.number() as UInt16
            _ = try? field.text()
            _ = try? field.value() as Inner
        }
    }
}
