/// The few things done to paths as text; nothing here looks at the file system.
enum FilePath {
    /// The folder part of a path, `.` when it has none.
    static func folder(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.utf8.startIndex ? "/" : String(path[..<slash])
    }

    /// A path as seen from a folder: absolute ones stay what they are, a leading `./` and a folder `.` leave no trace.
    static func joined(_ folder: String, _ path: String) -> String {
        let bare = trimmed(path)
        if bare.utf8.first == UInt8(ascii: "/") { return bare }
        if folder == "." || folder.isEmpty { return bare }
        if bare == "." { return folder }
        return folder.utf8.last == UInt8(ascii: "/") ? folder + bare : folder + "/" + bare
    }

    /// The path without leading `./` and trailing slashes; `..` stays, since links give it a meaning of its own.
    private static func trimmed(_ path: String) -> String {
        var bytes = Array(path.utf8)[...]
        while bytes.starts(with: [UInt8(ascii: "."), UInt8(ascii: "/")]) {
            bytes = bytes.dropFirst(2)
            while bytes.first == UInt8(ascii: "/") { bytes = bytes.dropFirst() }
        }
        while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes = bytes.dropLast() }
        return bytes.isEmpty ? "." : String(decoding: bytes, as: UTF8.self)
    }
}
