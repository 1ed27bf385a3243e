// swift-tools-version: 6.3
import PackageDescription

/// Settings of everything under Sources: the language of the project at its strictest.
let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Octets cross module borders on the data path, so their small functions must be visible to the optimiser.
let fast: [SwiftSetting] = strict + [.unsafeFlags(["-cross-module-optimization"], .when(configuration: .release))]

/// Modules that misbehave on purpose, one mistake each; the tests load them from beside their own executable.
let fixtures = [
    "abort_stop", "bad_name", "crash_constructor", "crash_entry", "crash_start", "entry_v2", "exit_in_constructor",
    "exit_in_start", "hang_constructor", "hang_start", "huge_table", "memory_hog", "nameless", "newer_major",
    "newer_minor", "no_callbacks", "no_entry", "no_start", "null_table", "refuses_start", "short_table",
    "silent_null", "tiny_table", "unresolved", "works",
]

let package = Package(
    name: "gateway",
    products: [
        .executable(name: "gateway", targets: ["gateway"]),
        .library(name: "echo", type: .dynamic, targets: ["echo"]),
        .library(name: "chat", type: .dynamic, targets: ["chat"]),
    ] + fixtures.map { .library(name: "fixture_\($0)", type: .dynamic, targets: ["fixture_\($0)"]) },
    targets: [
        // The system, as Swift sees it.
        .target(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

        // The contract with handlers, and the kit for writing them in Swift.
        .target(name: "CGatewayABI"),
        .target(
            name: "GatewayHandler", dependencies: ["CGatewayABI"],
            swiftSettings: fast + [.enableExperimentalFeature("Lifetimes")]),

        // The gateway, from octets up.
        .target(name: "Bytes", swiftSettings: fast),
        .target(name: "GatewayIO", dependencies: ["CLinux", "Bytes"], swiftSettings: fast),
        .target(name: "HTTP", swiftSettings: fast),
        .target(name: "WebSocket", dependencies: ["HTTP", "COpenSSL"], swiftSettings: fast),
        .target(name: "GatewayConfiguration", swiftSettings: strict),
        .target(name: "HandlerModules", dependencies: ["CGatewayABI", "CLinux"], swiftSettings: fast),
        .target(
            name: "GatewayServer",
            dependencies: [
                "GatewayConfiguration", "HandlerModules", "WebSocket", "HTTP", "GatewayIO", "Bytes", "CGatewayABI",
                "CLinux",
            ], swiftSettings: fast),
        .target(
            name: "GatewayLoad", dependencies: ["GatewayIO", "WebSocket", "HTTP", "Bytes", "CLinux"],
            swiftSettings: fast),
        .executableTarget(
            name: "gateway", dependencies: ["GatewayServer", "GatewayLoad", "GatewayConfiguration", "CLinux"],
            swiftSettings: strict),

        // Handlers: one folder, one target, one .so.
        .target(name: "echo", dependencies: ["CGatewayABI"], path: "Plugins/echo", publicHeadersPath: "."),
        .target(name: "chat", dependencies: ["GatewayHandler"], path: "Plugins/chat", swiftSettings: fast),

        // Tests mirror Sources, target for target.
        .target(name: "TestSupport", path: "Tests/Support"),
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        .testTarget(name: "BytesTests", dependencies: ["Bytes", "TestSupport", "AllocationCounter"]),
        .testTarget(name: "GatewayIOTests", dependencies: ["GatewayIO", "Bytes", "TestSupport", "AllocationCounter"]),
        .testTarget(name: "HTTPTests", dependencies: ["HTTP"]),
        .testTarget(
            name: "WebSocketTests", dependencies: ["WebSocket", "HTTP", "Bytes", "TestSupport", "AllocationCounter"]),
        .executableTarget(
            name: "probe_child", dependencies: ["HandlerModules", "CGatewayABI"], path: "Tests/ProbeChild"),
        .testTarget(
            name: "HandlerModulesTests", dependencies: ["HandlerModules", "CGatewayABI", "CLinux", "probe_child"]),
        .testTarget(name: "GatewayConfigurationTests", dependencies: ["GatewayConfiguration"]),
        .testTarget(name: "GatewayLoadTests", dependencies: ["GatewayLoad", "WebSocket", "GatewayIO"]),
        .testTarget(name: "GatewayServerTests", dependencies: ["GatewayServer", "GatewayConfiguration"]),
        .testTarget(
            name: "GatewayHandlerTests", dependencies: ["GatewayHandler", "CGatewayABI"],
            swiftSettings: Array(strict.dropFirst())),
    ]
        + fixtures.map {
            .target(
                name: "fixture_\($0)", dependencies: ["CGatewayABI"], path: "Tests/Fixtures/\($0)",
                publicHeadersPath: ".")
        },
    swiftLanguageModes: [.v6]
)
