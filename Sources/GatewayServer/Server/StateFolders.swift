import CLinux
package import GatewayConfiguration
import GatewayIO
import Glibc
import HandlerModules

/// Where the gateway keeps what it makes of its own accord: copies of modules as long as it runs, and for the next start
/// the builds that proved good and the record of a crash.
package struct StateFolders {
    /// What `state_dir` says, and where.
    private let named: String?
    private let origin: String
    /// For what outlives the process.
    let lastGoodFolder: String
    let crashFile: String
    /// Where copies of modules may lie, the best place first.
    let bases: [String]

    init(_ configuration: Configuration, _ environment: ServiceEnvironment = ServiceEnvironment()) {
        named = configuration.stateFolder
        origin = configuration.origins["state_dir"]?.description ?? configuration.file
        let lasting = named ?? environment.stateFolder
        lastGoodFolder = lasting ?? configuration.pluginsFolder
        let beside = configuration.file.lastIndex(of: "/").map { String(configuration.file[..<$0]) } ?? "."
        let crashFolder = lasting ?? beside
        crashFile = "\(crashFolder == "/" ? "" : crashFolder)/.gateway.crash"
        // A folder that was named is meant; what the manager offers may be mounted noexec, as /run is on Debian.
        bases =
            named.map { [$0] }
            ?? [environment.runtimeFolder, environment.stateFolder].compactMap { $0 } + RunDirectory.defaultBases()
    }

    /// Makes the folder that `state_dir` names where it is not there.
    ///
    /// - Returns: it, if it was made: it belongs to whoever this process is.
    func make() throws(Server.Failure) -> String? {
        guard let named else { return nil }
        if unsafe mkdir(named, 0o700) == 0 { return named }
        let error = Errno.last
        if error.code == EEXIST {
            if Self.isFolder(named) { return nil }
            throw Server.Failure(description: "\(origin): \"state_dir\": \(named) is no folder", isConfiguration: true)
        }
        throw Server.Failure(
            description: """
                \(origin): "state_dir": \(named) is not there and cannot be made: \(error)
                   To do: make it, for the gateway's user, as with `install -d -m 0700 -o USER \(named)`; where the root is
                   read-only, mount a volume or a tmpfs there.
                """, isConfiguration: false)
    }

    /// Makes the folder for copies of modules. What gateways have left over that ended without removing theirs goes.
    func makeRunDirectory() throws(Server.Failure) -> RunDirectory {
        for base in bases { _ = RunDirectory.removeLeftovers(in: base) }
        do throws(RunDirectoryError) {
            return try RunDirectory(bases: bases)
        } catch {
            guard let named else {
                throw Server.Failure(
                    description: "no folder for the copies of modules: \(error)", isConfiguration: false)
            }
            throw Server.Failure(
                description: """
                    \(origin): "state_dir": handlers cannot be loaded from it:
                       \(error.objections.joined(separator: "\n   "))
                       To do: \(named) and every folder above it have to belong to the gateway's user or to root, nobody else may
                       write there, and it must not be mounted noexec or read-only.
                    """, isConfiguration: false)
        }
    }

    /// When a handler kills the process, its last words say which one; on stderr, and in a file that outlives the process.
    func recordCrashes(_ log: Log) {
        let file = unsafe clinux_open_record(crashFile)
        if file < 0 {
            let error = Errno.last
            let isOdd = error.code == ELOOP || error.code == EINVAL
            // A folder that is not ours to write to is usual, unless it is there for that; something else in the place of
            // the file is not.
            log.write(
                isOdd || named != nil ? .warn : .debug,
                "no file for a crash record at \(crashFile): "
                    + (isOdd ? "this is no regular file of one name" : error.description))
        }
        if clinux_record_crashes(file) != 0 { log.warn("crashes will not be recorded: \(Errno.last)") }
    }

    /// What `gateway check` finds out: a text where the folder cannot be what it is to be. Nothing is made.
    package static func troubles(_ configuration: Configuration) -> [String] {
        guard let named = configuration.stateFolder, unsafe access(named, F_OK) == 0, !isFolder(named) else {
            return []
        }
        return ["\(StateFolders(configuration).origin): error: \"state_dir\": \(named) is no folder"]
    }

    private static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }
}
