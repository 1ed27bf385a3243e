/// What was decided about a handler and holds over a restart; the usual is nothing.
package struct Standing: Equatable, Sendable {
    /// A rollback went back to an older build: the file is not loaded as long as it is the one that was left.
    package struct Rollback: Equatable, Sendable {
        /// What is in the file that was left.
        package var fileDigest: UInt64
        /// The generation whose build serves instead, as it was counted then.
        package var generation: UInt64

        package init(fileDigest: UInt64, generation: UInt64) {
            self.fileDigest = fileDigest
            self.generation = generation
        }
    }

    package var rolledBack: Rollback?
    /// An operator asked by name for a build that had crashed: what was recorded up to then, as in the record of the
    /// crash, is forgiven.
    package var pardonedUntil: String?

    package init() {}

    /// Reads what `text` made; a line that makes no sense, from another version perhaps, says nothing.
    package init(text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            switch (words.first, words.count) {
            case ("rolled-back", 3):
                guard let digest = UInt64(words[1], radix: 16), let generation = UInt64(words[2]) else { continue }
                rolledBack = Rollback(fileDigest: digest, generation: generation)
            // A time, as a record of a crash has it: nothing that would be a part of another line, or of none, when written.
            case ("pardoned", 2) where words[1].utf8.allSatisfy { (0x21...0x7E).contains($0) }:
                pardonedUntil = String(words[1])
            default: continue
            }
        }
    }

    /// A line for each thing.
    package var text: String {
        var lines = ""
        if let rolledBack { lines += "rolled-back \(hexadecimal(rolledBack.fileDigest)) \(rolledBack.generation)\n" }
        if let pardonedUntil { lines += "pardoned \(pardonedUntil)\n" }
        return lines
    }
}
