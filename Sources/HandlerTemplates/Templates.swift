import CTemplates

/// The files that new projects are made of; they lie in the executable.
package enum Templates {
    /// The name of every one, in the order they are embedded.
    package static var names: [String] { all.map(\.name) }

    /// The text of one; nil when there is none of that name.
    package static func text(_ name: String) -> String? { all.first { $0.name == name }?.text }

    static let all: [(name: String, text: String)] = {
        var files: [(String, String)] = []
        var number = 0
        while let file = unsafe ctemplates_file(number) {
            unsafe files.append((String(cString: file.pointee.name), String(cString: file.pointee.text)))
            number += 1
        }
        return files
    }()
}
