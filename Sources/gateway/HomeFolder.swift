import Glibc

/// The folder of the user, and where programs keep data in it.
enum HomeFolder {
    /// $HOME without a slash at its end; nil when it is not set.
    static var path: String? { folder("HOME") }

    /// $XDG_DATA_HOME, or what the XDG Base Directory Specification has in its place.
    static func data() throws(DevCertFailure) -> String {
        if let data = folder("XDG_DATA_HOME") { return data }
        guard let path else {
            throw DevCertFailure(
                "HOME is not set, so there is no place for the authority: set HOME or XDG_DATA_HOME to a folder")
        }
        return "\(path)/.local/share"
    }

    /// $XDG_STATE_HOME, or what the specification has in its place; nil without a home.
    static var state: String? { folder("XDG_STATE_HOME") ?? path.map { "\($0)/.local/state" } }

    /// The specification has relative paths ignored.
    private static func folder(_ variable: String) -> String? {
        guard var path = unsafe getenv(variable).map({ unsafe String(cString: $0) }), path.first == "/" else {
            return nil
        }
        while path.count > 1, path.last == "/" { path.removeLast() }
        return path
    }
}
