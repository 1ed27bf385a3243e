import Glibc

/// A module that was found, opened and found trustworthy; the descriptor is the one that is copied later.
package struct ModuleFile: ~Copyable {
    /// Absolute, without symbolic links.
    package let path: String
    /// Octets in the file when it was opened.
    package let size: Int
    let file: OpenFile

    /// Opens a regular file that nobody but root and we could have written; the path is canonical.
    init(trusting path: String) throws(Objection) {
        try FileTrust.check(foldersAbove: path)
        let file = try Objection.explaining { () throws(SystemError) in try OpenFile(reading: path) }
        let status = try Objection.explaining { () throws(SystemError) in try file.status() }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Objection("is not a regular file") }
        if let objection = FileTrust.objection(to: .module, status) {
            throw Objection("cannot be trusted: it \(objection)")
        }
        self.path = path
        size = Int(status.st_size)
        self.file = file
    }
}
