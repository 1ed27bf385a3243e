import GatewayHandler
import Testing

private enum Mood: String, StateValue, CaseIterable {
    case glad, sad
}

/// One of everything.
private struct Sample: StateValue, Equatable {
    var numbers: [Int] = [.min, -1, 0, 1, .max]
    var small: [UInt8] = [0, 255]
    var odd: Int8 = -128
    var unsigned: UInt64 = .max
    var fraction = -0.1
    var single: Float = 1.5
    var flag = true
    var text = "Grüße 👋"
    var none: String?
    var some: String? = ""
    var nested: [[Int16?]] = [[], [nil, -2]]
    var names: Set<String> = ["a", "b"]
    var ages: [String: UInt32] = ["a": 1, "b": .max]
    var moods = Mood.allCases
    var time = Duration.milliseconds(-1500)

    init() {}

    init(from reader: inout StateReader) throws {
        (numbers, small, odd, unsigned) = try (reader.read(), reader.read(), reader.read(), reader.read())
        (fraction, single, flag, text) = try (reader.read(), reader.read(), reader.read(), reader.read())
        (none, some, nested) = try (reader.read(), reader.read(), reader.read())
        (names, ages, moods, time) = try (reader.read(), reader.read(), reader.read(), reader.read())
    }

    func encode(into writer: inout StateWriter) {
        writer.write(numbers)
        writer.write(small)
        writer.write(odd)
        writer.write(unsigned)
        writer.write(fraction)
        writer.write(single)
        writer.write(flag)
        writer.write(text)
        writer.write(none)
        writer.write(some)
        writer.write(nested)
        writer.write(names)
        writer.write(ages)
        writer.write(moods)
        writer.write(time)
    }
}

private func bytes(_ value: some StateValue) -> [UInt8] {
    var writer = StateWriter()
    writer.write(value)
    return writer.bytes
}

private func read<Value: StateValue>(_ bytes: [UInt8], _ type: Value.Type = Value.self) throws -> Value {
    var reader = StateReader(bytes, version: 1)
    return try reader.read()
}

@Suite("a value that crosses generations")
struct StateValueTests {
    @Test func `comes back as it was`() throws {
        var reader = StateReader(bytes(Sample()), version: 1)
        #expect(try reader.read(Sample.self) == Sample())
        #expect(reader.remaining == 0)
    }

    @Test func `is laid out the same in every build`() {
        #expect(bytes(UInt16(0x0102)) == [2, 1])
        #expect(bytes(-2) == [254, 255, 255, 255, 255, 255, 255, 255])
        #expect(bytes("é") == [2, 0, 0, 0, 0, 0, 0, 0, 0xC3, 0xA9])
        #expect(bytes([true, false]) == [2, 0, 0, 0, 0, 0, 0, 0, 1, 0])
        #expect(bytes(UInt8?.none) == [0])
        #expect(bytes(UInt8?.some(7)) == [1, 7])
        #expect(bytes(Mood.sad) == bytes("sad"))
        #expect(bytes(1.0) == [0, 0, 0, 0, 0, 0, 0xF0, 0x3F])
    }

    @Test func `cut at any place throws`() {
        let whole = bytes(Sample())
        for count in whole.indices {
            #expect(throws: StateError.truncated) { try read(Array(whole.prefix(count)), Sample.self) }
        }
    }

    @Test func `with any byte changed is read or throws, and never traps`() {
        let whole = bytes(Sample())
        for place in whole.indices {
            for flip: UInt8 in [1, 0x80, 0xFF] {
                var changed = whole
                changed[place] ^= flip
                _ = try? read(changed, Sample.self)
            }
        }
    }

    @Test func `is not believed when it claims more than there is`() {
        for claim in [1, UInt64(Int.max), .max] {
            let lie = bytes(claim)
            #expect(throws: StateError.truncated) { try read(lie, String.self) }
            #expect(throws: StateError.truncated) { try read(lie, [UInt8].self) }
            #expect(throws: StateError.truncated) { try read(lie, [String: Int].self) }
        }
    }

    @Test func `that is none throws and says what was wanted`() {
        #expect(throws: StateError.malformed("Bool")) { try read([2], Bool.self) }
        #expect(throws: StateError.malformed("String")) { try read(bytes([0xFF as UInt8]), String.self) }
        #expect(throws: StateError.malformed("Mood")) { try read(bytes("angry"), Mood.self) }
        #expect(throws: StateError.malformed("Duration")) {
            try read(bytes(Int64.max) + bytes(Int64.max), Duration.self)
        }
        #expect("\(StateError.malformed("Mood"))" == "the saved state holds no valid Mood where one should be")
    }

    @Test func `with a connection in it needs the gateway`() {
        #expect(throws: StateError.noGateway) { try read(bytes(7 as UInt64), Connection.self) }
    }

    @Test func `keeps the last of two values under one key`() throws {
        let twice = bytes(2 as UInt64) + bytes("a") + bytes(1) + bytes("a") + bytes(2)
        #expect(try read(twice) == ["a": 2])
    }
}
