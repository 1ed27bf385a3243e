import Glibc
import HandlerModules
import Testing

@Suite("A module is loaded from a private copy, one per generation")
struct StagedModuleTests {
    let folder = TemporaryFolder()
    let bytes = (0..<150_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    private func identity(_ path: String) -> (inode: ino_t, mode: mode_t) {
        var status = stat()
        _ = lstat(path, &status)
        return (status.st_ino, status.st_mode & 0o7777)
    }

    @Test func `is a fresh file with the same bytes, named for handler, attempt and digest`() throws {
        let run = try RunDirectory(bases: [folder.path])
        let source = folder.write("feed.so", bytes)
        let file = try ModuleLocator(plugins: [folder.path], executableFolder: nil).find("feed")
        let one = try StagedModule.copy(of: file, handler: "feed", attempt: 1, to: run)
        let two = try StagedModule.copy(of: file, handler: "feed", attempt: 2, to: run)
        let paths = [one.path, two.path]
        let digests = [one.digest, two.digest]
        let digest8 = paths[0].dropLast(3).suffix(8)
        #expect(paths == (1...2).map { "\(run.path)/feed.\($0).\(digest8).so" })
        #expect(digests[0] == digests[1])
        #expect(String(digests[0], radix: 16).hasPrefix(digest8.drop { $0 == "0" }))
        #expect(contents(of: paths[0]) == bytes)
        #expect(Set([source] + paths).count == 3)
        #expect(Set(([source] + paths).map { identity($0).inode }).count == 3)
        #expect(identity(paths[0]).mode == 0o500)
        #expect(names(in: run.path).count == 3)
    }

    @Test func `is removed with its owner unless it is kept`() throws {
        let run = try RunDirectory(bases: [folder.path])
        folder.write("feed.so", bytes)
        let file = try ModuleLocator(plugins: [folder.path], executableFolder: nil).find("feed")
        do {
            let dropped = try StagedModule.copy(of: file, handler: "feed", attempt: 1, to: run)
            #expect(names(in: run.path).count == 2, "\(dropped.path)")
        }
        #expect(names(in: run.path) == ["lock"])
        do {
            let kept = try StagedModule.copy(of: file, handler: "feed", attempt: 2, to: run)
            kept.keep()
        }
        #expect(names(in: run.path).count == 2)
    }

    @Test func `never takes a file that is already there`() throws {
        let run = try RunDirectory(bases: [folder.path])
        folder.write("feed.so", bytes)
        let file = try ModuleLocator(plugins: [folder.path], executableFolder: nil).find("feed")
        let planted = String(run.path.dropFirst(folder.path.utf8.count + 1)) + "/feed.1.part"
        folder.write(planted, [0])
        let error = #expect(throws: StagingError.self) {
            _ = try StagedModule.copy(of: file, handler: "feed", attempt: 1, to: run)
        }
        #expect(error == .system(SystemError("open", code: EEXIST)))
        #expect(error?.description == "it cannot be copied (open: File exists)")
    }

    @Test func `says when the file shrank after it was opened`() throws {
        let run = try RunDirectory(bases: [folder.path])
        let path = folder.write("feed.so", bytes)
        let file = try ModuleLocator(plugins: [folder.path], executableFolder: nil).find("feed")
        #expect(truncate(path, 70_000) == 0)
        #expect(throws: StagingError.changing) {
            _ = try StagedModule.copy(of: file, handler: "feed", attempt: 1, to: run)
        }
    }
}
