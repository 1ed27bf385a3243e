import Testing
import gateway

@Suite("Help, manual and completions know what the command line takes")
struct CommandPageTests {
    @Test(arguments: Command.allCases)
    func `of every command`(_ command: Command) throws {
        let page = try #require(CommandPage.all.first { $0.name == command.rawValue })
        #expect(!page.summary.isEmpty)
        #expect(page.help.usageLines.first?.hasPrefix("gateway") == true)
        #expect(!page.help.examples.isEmpty)
        let named = Set(CommandOption.all(of: page).flatMap(\.names))
        let taken = command.options + command.flags + (command.hasJSON ? ["--json"] : [])
        #expect(named.isSuperset(of: taken), "--help lacks an option that is taken")
        #expect(named.contains("-c") == command.takesConfiguration)
        let withValue = Set(CommandOption.all(of: page).filter { $0.value != nil }.flatMap(\.names))
        #expect(withValue.isSuperset(of: command.options))
        #expect(withValue.isDisjoint(with: command.flags))
    }

    @Test(arguments: CommandPage.all.filter { $0.name != "bench" }.map(\.name))
    func `and say nothing else of it`(_ name: String) throws {
        let page = try #require(CommandPage.all.first { $0.name == name })
        let command = try #require(Command(rawValue: name))
        let known = Set(command.options + command.flags + command.durations + ["--json", "-c", "-h", "--help"])
        #expect(CommandOption.all(of: page).flatMap(\.names).allSatisfy(known.contains))
    }

    @Test(arguments: ManualPage.allCases)
    func `and the manual has all of it`(_ page: ManualPage) {
        let text = page.text
        for command in CommandPage.all where page == .gateway {
            #expect(text.contains(".SS \"gateway \(command.name.replacing("-", with: "\\-"))\""))
        }
        // Neither a request nor an escape that nobody meant.
        #expect(text.split(separator: "\n").allSatisfy { !$0.hasPrefix("'") && !$0.hasPrefix(". ") })
        #expect(text.split(separator: "\n").allSatisfy { $0.count < 160 })
    }

    @Test(arguments: Shell.allCases)
    func `and completions have all of it`(_ shell: Shell) {
        let text = shell.completion
        for page in CommandPage.all {
            #expect(text.contains(page.name))
            for name in CommandOption.all(of: page).flatMap(\.names) {
                #expect(text.contains(shell == .fish ? String(name.drop { $0 == "-" }) : name))
            }
        }
    }
}
