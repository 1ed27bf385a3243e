import GatewayHandler

/// Bytes that another build of a handler saved are a value or refused; a value is read back as it was written.
func tryState(_ bytes: [UInt8]) -> Int32 {
    var input = Input(bytes)
    let version = UInt32(input.byte())
    var reader = StateReader(input.all(), version: version)
    let saved: Saved
    do {
        saved = try reader.read()
    } catch {
        precondition(!"\(error)".isEmpty, "a refusal says why")
        return 0
    }
    var writer = StateWriter()
    writer.write(saved)
    // What is written is what the latest version has.
    var again = StateReader(writer.bytes, version: 2)
    precondition((try? again.read(Saved.self)) == saved, "what was written reads otherwise")
    precondition(again.remaining == 0, "what was written is not read whole")
    return 0
}

/// One of each kind of value that crosses from generation to generation.
private struct Saved: StateValue, Equatable {
    enum Mood: UInt8, StateValue {
        case calm
        case busy
    }

    struct Numbers: StateValue, Equatable {
        let small: Int8
        let wide: UInt64
        let plain: Int
        /// Of a Double and a Float their bits: one that is no number is not equal to itself.
        let bits: [UInt64]

        init(from reader: inout StateReader) throws {
            (small, wide, plain) = (try reader.read(), try reader.read(), try reader.read())
            bits = [try reader.read(Double.self).bitPattern, UInt64(try reader.read(Float.self).bitPattern)]
        }

        func encode(into writer: inout StateWriter) {
            writer.write(small)
            writer.write(wide)
            writer.write(plain)
            writer.write(Double(bitPattern: bits[0]))
            writer.write(Float(bitPattern: UInt32(truncatingIfNeeded: bits[1])))
        }
    }

    let mood: Mood
    let numbers: Numbers
    let isKnown: Bool
    let age: Duration
    let name: String
    let identifier: ConnectionUUID
    let words: [String]?
    let rooms: Set<Int16>
    let history: [String: [UInt8?]]
    /// Only a later version has them.
    let ages: [Duration]

    init(from reader: inout StateReader) throws {
        (mood, numbers, isKnown) = (try reader.read(), try reader.read(), try reader.read())
        (age, name, identifier) = (try reader.read(), try reader.read(), try reader.read())
        (words, rooms, history) = (try reader.read(), try reader.read(), try reader.read())
        ages = reader.version < 2 ? [] : try reader.read()
    }

    func encode(into writer: inout StateWriter) {
        writer.write(mood)
        writer.write(numbers)
        writer.write(isKnown)
        writer.write(age)
        writer.write(name)
        writer.write(identifier)
        writer.write(words)
        writer.write(rooms)
        writer.write(history)
        writer.write(ages)
    }
}
