/// Why a file is not a module that this process could load.
package enum ELFError: Error, Equatable, Sendable {
    case notELF
    /// The class byte is not "64-bit".
    case not64Bit
    case notLittleEndian
    /// Numbers of the machines.
    case otherMachine(found: Int, ours: Int)
    /// The file is not a shared library but ...
    case otherType(Int)
    /// This part of the file reaches beyond its end.
    case truncated(String)
    /// This part of the file makes no sense.
    case malformed(String)
    case noEntry
    /// The entry is there, but it is no function, or of no use outside.
    case entryNotCallable
    /// The file has entries for these major versions of the ABI, and not for ours.
    case otherMajors([Int])
    case unreadable(SystemError)
}

extension ELFError {
    /// What to do about it.
    package var remedy: String {
        switch self {
        case .notELF, .not64Bit, .notLittleEndian, .otherMachine, .otherType:
            "build it as a shared library for this machine"
        case .truncated, .malformed:
            "wait until it is written completely, or build it again"
        case .noEntry, .entryNotCallable:
            "export the function gw_handler_entry_v1 with default visibility, as gw_handler.h declares it"
        case .otherMajors:
            "build it against the gw_handler.h of this gateway"
        case .unreadable:
            "look at the file system"
        }
    }

    static func machineName(_ number: Int) -> String {
        switch number {
        case 3: "x86 (32-bit)"
        case 40: "ARM (32-bit)"
        case 62: "x86-64"
        case 183: "aarch64"
        case 243: "RISC-V"
        default: "machine \(number)"
        }
    }

    private static func typeName(_ number: Int) -> String {
        switch number {
        case 1: "an object file"
        case 2: "an executable at a fixed address"
        case 4: "a core dump"
        default: "an ELF file of type \(number)"
        }
    }
}

extension ELFError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notELF: "it is not an ELF file"
        case .not64Bit: "it is not built for 64 bits"
        case .notLittleEndian: "it is not built for a little-endian machine"
        case .otherMachine(let found, let ours):
            "it is built for \(Self.machineName(found)), this machine is \(Self.machineName(ours))"
        case .otherType(let type): "it is \(Self.typeName(type)), not a shared library"
        case .truncated(let part): "it is incomplete: \(part) reaches beyond the end of the file"
        case .malformed(let part): "it is damaged: \(part)"
        case .noEntry: "it does not export gw_handler_entry_v1"
        case .entryNotCallable: "its gw_handler_entry_v1 is not an exported function"
        case .otherMajors(let majors):
            "it needs ABI major \(majors.map { String($0) }.joined(separator: " or ")), this gateway speaks 1"
        case .unreadable(let error): "it cannot be read (\(error))"
        }
    }
}
