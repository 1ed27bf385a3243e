/// What a new handler is written in.
package enum Language: String, CaseIterable, Sendable {
    case swift, c, cpp, rust

    /// Its name as people write it.
    package var title: String {
        switch self {
        case .swift: "Swift"
        case .c: "C"
        case .cpp: "C++"
        case .rust: "Rust"
        }
    }

    /// The file with the handler in it, seen from the project.
    package var source: String {
        switch self {
        case .swift: "Sources/Handler.swift"
        case .c: "handler.c"
        case .cpp: "handler.cpp"
        case .rust: "src/lib.rs"
        }
    }
}

/// The styles a handler in Swift can be written in.
package enum Flavour: String, CaseIterable, Sendable {
    /// A method per event.
    case reactive
    /// A closure per event.
    case functional
    /// A loop per connection.
    case imperative
    /// One closure configures each socket.
    case fleck

    var template: String {
        switch self {
        case .reactive: "swift/Reactive.swift"
        case .functional: "swift/Functional.swift"
        case .imperative: "swift/Imperative.swift"
        case .fleck: "swift/Fleck.swift"
        }
    }
}
