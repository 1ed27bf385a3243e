/// A value that crosses from one generation of a handler to the next as bytes; never as an object, whose code is gone.
///
///     struct Member: StateValue {
///         var number: Int
///         var name: String
///
///         init(from reader: inout StateReader) throws {
///             number = try reader.read()
///             // Version 2 of the handler's state added names.
///             name = reader.version < 2 ? "somebody" : try reader.read()
///         }
///
///         func encode(into writer: inout StateWriter) {
///             writer.write(number)
///             writer.write(name)
///         }
///     }
///
/// Numbers, `Bool`, `String`, `Duration`, `Connection` and `ConnectionUUID` are such values; so are optionals, arrays,
/// sets and dictionaries of them, and enums with a raw value that say so. A value writes a byte at least.
public protocol StateValue: SendableMetatype {
    /// Reads what `encode` wrote, perhaps an earlier version of it.
    init(from reader: inout StateReader) throws

    /// Writes the value; must not change anything, for the hand-over may still be refused.
    func encode(into writer: inout StateWriter)
}

// MARK: - Numbers

extension StateValue where Self: FixedWidthInteger {
    public init(from reader: inout StateReader) throws { self = try reader.number(Self.self) }
    public func encode(into writer: inout StateWriter) { writer.append(number: self) }
}

extension Int: StateValue {
    // As 64 bits everywhere.
    public init(from reader: inout StateReader) throws {
        guard let number = Int(exactly: try reader.number(Int64.self)) else { throw StateError.malformed("Int") }
        self = number
    }

    public func encode(into writer: inout StateWriter) { writer.append(number: Int64(self)) }
}

extension Int8: StateValue {}
extension Int16: StateValue {}
extension Int32: StateValue {}
extension Int64: StateValue {}
extension UInt8: StateValue {}
extension UInt16: StateValue {}
extension UInt32: StateValue {}
extension UInt64: StateValue {}

extension Double: StateValue {
    public init(from reader: inout StateReader) throws { self.init(bitPattern: try reader.number(UInt64.self)) }
    public func encode(into writer: inout StateWriter) { writer.append(number: bitPattern) }
}

extension Float: StateValue {
    public init(from reader: inout StateReader) throws { self.init(bitPattern: try reader.number(UInt32.self)) }
    public func encode(into writer: inout StateWriter) { writer.append(number: bitPattern) }
}

extension Bool: StateValue {
    public init(from reader: inout StateReader) throws {
        switch try reader.number(UInt8.self) {
        case 0: self = false
        case 1: self = true
        default: throw StateError.malformed("Bool")
        }
    }

    public func encode(into writer: inout StateWriter) { writer.append(number: self ? 1 as UInt8 : 0) }
}

extension Duration: StateValue {
    public init(from reader: inout StateReader) throws {
        let (seconds, attoseconds) = (try reader.number(Int64.self), try reader.number(Int64.self))
        // Beyond a second they would add up to more than a Duration holds.
        guard (-999_999_999_999_999_999...999_999_999_999_999_999).contains(attoseconds) else {
            throw StateError.malformed("Duration")
        }
        self.init(secondsComponent: seconds, attosecondsComponent: attoseconds)
    }

    public func encode(into writer: inout StateWriter) {
        writer.append(number: components.seconds)
        writer.append(number: components.attoseconds)
    }
}

// MARK: - Text and names

extension String: StateValue {
    public init(from reader: inout StateReader) throws {
        let count = try reader.count()
        guard let text = String(validating: try reader.bytes(count), as: UTF8.self) else {
            throw StateError.malformed("String")
        }
        self = text
    }

    public func encode(into writer: inout StateWriter) {
        writer.append(number: UInt64(utf8.count))
        writer.append(utf8)
    }
}

extension StateValue where Self: RawRepresentable, RawValue: StateValue {
    public init(from reader: inout StateReader) throws {
        guard let value = Self(rawValue: try reader.read()) else { throw StateError.malformed("\(Self.self)") }
        self = value
    }

    public func encode(into writer: inout StateWriter) { rawValue.encode(into: &writer) }
}

extension Connection: StateValue {
    /// Numbers of connections keep their meaning: whichever generation serves one, all can send to it.
    public init(from reader: inout StateReader) throws {
        let id = try reader.number(UInt64.self)
        guard let host = reader.host else { throw StateError.noGateway }
        self.init(id, host)
    }

    public func encode(into writer: inout StateWriter) { writer.append(number: id) }
}

extension ConnectionUUID: StateValue {
    public init(from reader: inout StateReader) throws {
        high = try reader.read()
        low = try reader.read()
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(high)
        writer.write(low)
    }
}

// MARK: - Many and none

extension Optional: StateValue where Wrapped: StateValue {
    public init(from reader: inout StateReader) throws {
        self = try reader.read(Bool.self) ? try reader.read(Wrapped.self) : nil
    }

    public func encode(into writer: inout StateWriter) {
        writer.write(self != nil)
        if let self { writer.write(self) }
    }
}

extension Array: StateValue where Element: StateValue {
    public init(from reader: inout StateReader) throws {
        self = []
        for _ in 0..<(try reader.count()) { append(try reader.read()) }
    }

    public func encode(into writer: inout StateWriter) {
        writer.append(number: UInt64(count))
        for element in self { writer.write(element) }
    }
}

extension Set: StateValue where Element: StateValue {
    public init(from reader: inout StateReader) throws { self.init(try reader.read([Element].self)) }
    public func encode(into writer: inout StateWriter) { writer.write(Array(self)) }
}

extension Dictionary: StateValue where Key: StateValue, Value: StateValue {
    public init(from reader: inout StateReader) throws {
        self = [:]
        for _ in 0..<(try reader.count()) {
            let key = try reader.read(Key.self)
            // Of a key that comes twice the last value counts, as when it was set twice.
            self[key] = try reader.read(Value.self)
        }
    }

    public func encode(into writer: inout StateWriter) {
        writer.append(number: UInt64(count))
        for (key, value) in self {
            writer.write(key)
            writer.write(value)
        }
    }
}
