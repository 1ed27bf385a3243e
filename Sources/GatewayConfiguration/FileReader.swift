import Glibc

/// Reads whole files, within a limit, and finds files by pattern: the only place here that asks the kernel.
enum FileReader {
    /// A configuration file larger than this is a mistake, such as a log file given by accident.
    static let mostBytes = 1 << 20

    /// Why a file could not be read.
    enum Failure: Error, Sendable {
        /// The kernel refused, with its reason.
        case refused(String)
        /// More than `mostBytes`.
        case tooLarge
        /// A NUL or an invalid UTF-8 sequence.
        case notText(String)

        /// The sentence for a message, without the file's name.
        var sentence: String {
            switch self {
            case .refused(let reason): reason
            case .tooLarge: "larger than \(FileReader.mostBytes) bytes"
            case .notText(let reason): reason
            }
        }
    }

    /// The bytes of a file that holds text.
    ///
    /// The file the operator names may be a pipe, as in `-c /dev/stdin`; what a pattern finds has to be a plain file,
    /// since opening a pipe without a writer would wait for ever.
    static func text(of path: String, isPlainFile: Bool = false) throws(Failure) -> [UInt8] {
        let bytes = try bytes(of: path, isPlainFile: isPlainFile)
        return try checked(bytes)
    }

    /// The bytes when they are text: no NUL, UTF-8, without a byte order mark.
    static func checked(_ bytes: [UInt8]) throws(Failure) -> [UInt8] {
        guard bytes.count <= mostBytes else { throw .tooLarge }
        if let index = bytes.firstIndex(of: 0) { throw .notText("not a text file (byte \(index) is NUL)") }
        guard String(validating: bytes, as: UTF8.self) != nil else { throw .notText("not UTF-8 text") }
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        return bytes.starts(with: mark) ? Array(bytes.dropFirst(mark.count)) : bytes
    }

    private static func bytes(of path: String, isPlainFile: Bool) throws(Failure) -> [UInt8] {
        let flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | (isPlainFile ? O_NONBLOCK : 0)
        let descriptor = unsafe open(path, flags)
        guard descriptor >= 0 else { throw .refused(reason(errno)) }
        defer { close(descriptor) }
        if isPlainFile {
            var status = stat()
            guard unsafe fstat(descriptor, &status) == 0 else { throw .refused(reason(errno)) }
            guard status.st_mode & S_IFMT == S_IFREG else { throw .refused("Not a plain file") }
        }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = unsafe part.withUnsafeMutableBytes { room in
                unsafe read(descriptor, room.baseAddress, room.count)
            }
            if count < 0 {
                if errno == EINTR { continue }
                throw .refused(reason(errno))
            }
            if count == 0 { return bytes }
            bytes.append(contentsOf: part[..<count])
            guard bytes.count <= mostBytes else { throw .tooLarge }
        }
    }

    /// True when a path stands for several.
    static func isPattern(_ path: String) -> Bool { path.utf8.contains { "*?[".utf8.contains($0) } }

    /// The pattern that stands for one path, whatever characters it has.
    static func literalPattern(_ path: String) -> String {
        var bytes: [UInt8] = []
        for byte in path.utf8 {
            if "*?[]\\".utf8.contains(byte) { bytes.append(UInt8(ascii: "\\")) }
            bytes.append(byte)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The paths that match a pattern, in the order of their bytes; none is no failure.
    static func paths(matching pattern: String) throws(Failure) -> [String] {
        var found = unsafe glob_t()
        let result = unsafe glob(pattern, GLOB_NOSORT, nil, &found)
        defer { unsafe globfree(&found) }
        switch result {
        case 0: break
        case GLOB_NOMATCH: return []
        default: throw .refused("the pattern cannot be followed")
        }
        var paths: [String] = []
        for index in 0..<Int(clamping: unsafe found.gl_pathc) {
            if let path = unsafe found.gl_pathv[index] { paths.append(unsafe String(cString: path)) }
        }
        // Not the order of a locale: the same files are read in the same order on every machine.
        return paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// The path without links and dots; nil when there is no such file.
    static func canonicalPath(of path: String) -> String? {
        guard let resolved = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// True when there is something at the path, readable or not.
    static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// The folder the process works in.
    static func workingFolder() -> String { canonicalPath(of: ".") ?? "/" }

    // strerror is thread-safe from glibc 2.32 on.
    private static func reason(_ number: Int32) -> String {
        guard let text = unsafe strerror(number) else { return "error \(number)" }
        return unsafe String(cString: text)
    }
}
