import Glibc
import HandlerModules
import Testing

@Suite("Looking at all files now and then finds what changed")
struct FolderPollTests {
    let folder = TemporaryFolder()

    @Test func `finds new, changed and missing modules, when it is time`() {
        folder.write("old.so", [1])
        folder.write("same.so", [1])
        folder.write("gone.so", [1])
        var poll = FolderPoll(folders: [folder.path, "/nowhere"], interval: .seconds(5), now: .seconds(100))
        #expect(poll.nextDeadline == .seconds(105))
        folder.write("old.so", [1, 2])
        folder.write("new.so", [1])
        folder.write("notes.txt", [1])
        #expect(unlink("\(folder.path)/gone.so") == 0)
        #expect(poll.advance(to: .seconds(104)) == [])
        #expect(poll.advance(to: .seconds(105)) == ["old.so", "new.so", "gone.so"])
        #expect(poll.nextDeadline == .seconds(110))
        #expect(poll.advance(to: .seconds(111)) == [])
    }

    @Test func `sees through a link to another file`() {
        folder.write("echo.1", [1])
        folder.write("echo.2", [2])
        let link = "\(folder.path)/echo.so"
        #expect(symlink("echo.1", link) == 0)
        var poll = FolderPoll(folders: [folder.path], interval: .seconds(5), now: .zero)
        #expect(unlink(link) == 0 && symlink("echo.2", link) == 0)
        #expect(poll.lookNow() == ["echo.so"])
        #expect(poll.lookNow() == [])
    }

    @Test func `a look tells one content from another`() {
        let path = folder.write("a.so", [1])
        let before = FileFingerprint(path: path)
        #expect(before != nil && FileFingerprint(path: path) == before)
        folder.write("a.so", [1, 2])
        #expect(FileFingerprint(path: path) != before)
        #expect(FileFingerprint(path: folder.path) == nil, "a folder is no file")
        #expect(FileFingerprint(path: "\(folder.path)/nowhere") == nil)
    }
}
