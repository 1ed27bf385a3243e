import GatewayIO
import Glibc
import Testing

@testable import GatewayServer

@Suite("SuccessorProgram: which file takes over")
struct SuccessorProgramTests {
    private static func refusal(_ body: () throws(SuccessorProgram.Refusal) -> SuccessorProgram) -> String? {
        do throws(SuccessorProgram.Refusal) {
            _ = try body()
            return nil
        } catch {
            return error.description
        }
    }

    @Test("without a name it is what lies where this program came from")
    func installed() throws {
        let folder = try ProgramFolder()
        try folder.put()
        let program = try SuccessorProgram(nil, arguments: ["-c", "x"], own: folder.program)
        #expect(program.path == folder.program && program.title == folder.program && program.held == nil)
        #expect(
            program.child(["A": "b"])
                == ChildProgram(path: folder.program, arguments: ["-c", "x"], variables: ["A": "b"]))
        #expect(program.rehearsal == ChildProgram(path: folder.program, arguments: ["--rehearse", "-c", "x"]))
        #expect(!program.hasChanged)
        try folder.put([2])
        #expect(program.hasChanged)
        #expect(
            Self.refusal { () throws(SuccessorProgram.Refusal) in try SuccessorProgram("x") }
                == "x is no path from the root")
        #expect(
            Self.refusal { () throws(SuccessorProgram.Refusal) in try SuccessorProgram("/nowhere/x") }?
                .hasPrefix("/nowhere/x cannot be opened") ?? false)
    }

    @Test("the program before is started by its name as long as that is its own")
    func inPlace() throws {
        let folder = try ProgramFolder()
        try folder.put()
        let program = try SuccessorProgram(goingBackTo: folder.hold(), arguments: [])
        #expect(program.held == nil && program.title == folder.program && !program.hasChanged)
        // Then that is another one by the time it has rehearsed, as with any file.
        try folder.put([2])
        #expect(program.hasChanged)
    }

    @Test("and else by its file, whatever becomes of the name")
    func replaced() throws {
        let folder = try ProgramFolder()
        try folder.put()
        let held = try folder.hold()
        try folder.put([2])
        let program = try SuccessorProgram(goingBackTo: held, arguments: ["run"])
        #expect(program.held === held && program.path == folder.program)
        #expect(program.title == "\(folder.program), as it was before,")
        #expect(unlink(folder.program) == 0 && !program.hasChanged)
        #expect(program.rehearsal.arguments == ["--rehearse", "run"])
    }

    @Test("not when it is not what ran, or may not be trusted any more")
    func refused() throws {
        let folder = try ProgramFolder()
        try folder.put()
        let held = try folder.hold()
        #expect(chmod(folder.program, 0o757) == 0)
        for program in [held] {
            let why = Self.refusal { () throws(SuccessorProgram.Refusal) in try SuccessorProgram(goingBackTo: program) }
            #expect(
                why?.hasPrefix("the program before, \(folder.program), cannot be trusted: it can be written") ?? false)
            #expect(why?.hasSuffix("`gateway upgrade FILE` takes another one") ?? false)
        }
        #expect(chmod(folder.program, 0o755) == 0)
        #expect(truncate(folder.program, 0) == 0)
        let why = Self.refusal { () throws(SuccessorProgram.Refusal) in try SuccessorProgram(goingBackTo: held) }
        #expect(why?.contains("has been written into since; `gateway upgrade FILE`") ?? false)
    }
}
