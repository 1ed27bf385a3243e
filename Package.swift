// swift-tools-version: 6.3
import Glibc
import PackageDescription

/// Settings of everything under Sources: the language of the project at its strictest.
let strict: [SwiftSetting] = [
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Bytes cross module borders on the data path, so functions must be visible to the optimiser beyond their module.
///
/// Measured with Swift 6.3.1: it looks into other modules for `public` declarations only, and there for functions
/// below a size limit that is too low for a frame parser. That is why the modules bytes pass through say `public`
/// where the rest of the house says `package`. Instructions for each echoed message: 1,120 without, 750 with.
let fast: [SwiftSetting] =
    strict + [
        .unsafeFlags(
            ["-cross-module-optimization", "-Xllvm", "-cmo-function-size-limit=1000"], .when(configuration: .release))
    ]

/// The worker's loop looks at its own properties for every message, and each look would be noted and forgotten again
/// (110 instructions a message). That is safe to leave out of release builds because nothing there overlaps: a worker
/// belongs to one thread, and host functions only note down what they are asked for. The layer of TLS belongs to the same
/// thread (900 instructions for each record that comes and is answered). Debug builds, and so all tests, keep the check.
let looping: [SwiftSetting] =
    fast + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

/// Sample handlers: a folder in Plugins each, built as lib<name>.so beside the gateway.
let chats = ["chat", "chat-functional", "chat-fleck", "chat-imperative"]
let samples = ["auth", "echo-fleck", "echo-prefix", "longjob", "rooms", "ticker", "upload"]
let handlers = ["counter", "echo", "reverse-cpp"] + chats + samples

/// Engines that carry topics to other gateways. Each is a module of its own, built where the library of its engine is: most
/// gateways stand alone, and need neither.
let backplanes = [
    (target: "GatewayNATS", product: "gateway-nats", header: "nats/nats.h", library: "nats"),
    (target: "GatewayRedis", product: "gateway-redis", header: "hiredis/hiredis.h", library: "hiredis"),
].filter { engine in
    ["/usr/include", "/usr/local/include"].contains { access("\($0)/\(engine.header)", R_OK) == 0 }
}

let package = Package(
    name: "gateway",
    products: [
        .executable(name: "gateway", targets: ["gateway"]),
        // The kit, for packages of handlers.
        .library(name: "GatewayHandler", targets: ["GatewayHandler"]),
        .library(name: "GatewayHandlerJSON", targets: ["GatewayHandlerJSON"]),
    ]
        + handlers.map { .library(name: $0, type: .dynamic, targets: [$0]) }
        + backplanes.map { .library(name: $0.product, type: .dynamic, targets: [$0.target]) },
    targets: [
        // The system, as Swift sees it.
        .target(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        // Not on every machine: whoever uses it asks `canImport`. It has no pkgConfig, so that nobody is told to install it.
        .systemLibrary(name: "CIsal"),

        .systemLibrary(name: "CNghttp2", pkgConfig: "libnghttp2", providers: [.apt(["libnghttp2-dev"])]),

        // UTF-8: an echo of 16 KiB of mixed text costs 1.2 times a bare loop, 7.7 times with the standard library.
        .target(name: "CSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),

        // The contract with handlers, and the kit for writing them in Swift.
        .target(name: "CGatewayABI"),
        .target(
            name: "GatewayHandler", dependencies: ["CGatewayABI"],
            swiftSettings: fast + [.enableExperimentalFeature("Lifetimes")]),

        .target(name: "GatewayHandlerJSON", dependencies: ["GatewayHandler"], swiftSettings: strict),

        // The contract with the modules that carry topics to other gateways, and what those of the house share.
        .target(name: "CBackplaneABI"),
        .target(name: "CBackplaneKit", dependencies: ["CBackplaneABI"]),

        // The gateway, from bytes up.
        .target(name: "Bytes", swiftSettings: fast),
        .target(name: "GatewayIO", dependencies: ["CLinux", "Bytes"], swiftSettings: fast),
        .target(
            name: "GatewayTLS", dependencies: ["COpenSSL", "GatewayIO", "Bytes"], swiftSettings: looping),
        .target(name: "HTTP", swiftSettings: fast),
        .target(
            name: "GatewayHTTP2", dependencies: ["CNghttp2", "GatewayIO", "HTTP", "Bytes"], swiftSettings: looping),
        .target(
            name: "WebSocket",
            dependencies: ["Bytes", "HTTP", "COpenSSL", "CSimdjson", "CZlib", "CIsal"],
            swiftSettings: fast),
        .target(
            name: "GatewayCluster",
            dependencies: ["CBackplaneABI", "GatewayConfiguration", "GatewayIO", "Bytes", "CZlib"],
            swiftSettings: strict),
        .target(name: "GatewayConfiguration", swiftSettings: strict),
        .target(name: "GatewayMetrics", exclude: ["Monitoring"], swiftSettings: strict),
        .target(name: "HandlerModules", dependencies: ["Bytes", "CGatewayABI", "CLinux"], swiftSettings: fast),
        .target(
            name: "GatewayControl",
            dependencies: [
                "GatewayConfiguration", "HandlerModules", "WebSocket", "HTTP", "GatewayIO", "Bytes", "CGatewayABI",
                "COpenSSL", "CPages",
            ], swiftSettings: strict),
        .target(
            name: "GatewayServer",
            dependencies: [
                "GatewayControl", "GatewayConfiguration", "GatewayCluster", "GatewayMetrics", "HandlerModules",
                "WebSocket", "HTTP",
                "GatewayHTTP2", "GatewayTLS", "GatewayIO", "Bytes", "CGatewayABI", "CLinux",
            ], swiftSettings: looping),
        .target(
            name: "GatewayLoad",
            dependencies: ["GatewayHTTP2", "GatewayTLS", "GatewayIO", "WebSocket", "HTTP", "Bytes", "CLinux"],
            swiftSettings: fast),
        .target(
            name: "HandlerTrial",
            dependencies: [
                "GatewayServer", "GatewayControl", "GatewayLoad", "GatewayTLS", "GatewayIO", "WebSocket", "Bytes",
                "CLinux",
            ],
            swiftSettings: strict),
        .target(name: "CPages", exclude: ["files"]),
        .target(name: "CTemplates", exclude: ["files"]),
        .target(name: "HandlerTemplates", dependencies: ["CTemplates"], swiftSettings: strict),
        .executableTarget(
            name: "gateway",
            dependencies: [
                "GatewayServer", "GatewayControl", "GatewayLoad", "GatewayConfiguration", "HandlerTemplates",
                "HandlerTrial", "WebSocket", "GatewayTLS", "GatewayIO", "Bytes", "CLinux",
            ],
            swiftSettings: strict),

        // Handlers.
        .target(name: "echo", dependencies: ["CGatewayABI"], path: "Plugins/echo", publicHeadersPath: "."),
        .target(name: "counter", dependencies: ["CGatewayABI"], path: "Plugins/counter", publicHeadersPath: "."),
        .target(
            name: "reverse-cpp", dependencies: ["CGatewayABI"], path: "Plugins/reverse-cpp", publicHeadersPath: "."),
        .target(name: "ChatRoom", dependencies: ["GatewayHandler"], path: "Plugins/chat-room", swiftSettings: fast),

        // Tests mirror Sources, target for target.
        .target(name: "TestSupport", path: "Tests/Support"),
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        .testTarget(name: "BytesTests", dependencies: ["Bytes", "TestSupport", "AllocationCounter"]),
        .testTarget(name: "GatewayIOTests", dependencies: ["GatewayIO", "Bytes", "TestSupport", "AllocationCounter"]),
        .testTarget(name: "GatewayTLSTests", dependencies: ["GatewayTLS", "COpenSSL", "GatewayIO", "TestSupport"]),
        .testTarget(name: "HTTPTests", dependencies: ["HTTP"]),
        .testTarget(name: "GatewayHTTP2Tests", dependencies: ["GatewayHTTP2", "GatewayIO", "HTTP"]),
        .testTarget(
            name: "WebSocketTests", dependencies: ["WebSocket", "HTTP", "Bytes", "TestSupport", "AllocationCounter"]),
        .testTarget(
            name: "HandlerModulesTests",
            dependencies: ["HandlerModules", "CGatewayABI", "CLinux", "TestSupport", "gateway"]),
        .testTarget(name: "GatewayClusterTests", dependencies: ["GatewayCluster", "GatewayIO", "TestSupport"]),
        .testTarget(name: "GatewayConfigurationTests", dependencies: ["GatewayConfiguration"]),
        .testTarget(name: "GatewayMetricsTests", dependencies: ["GatewayMetrics"]),
        .testTarget(
            name: "GatewayLoadTests", dependencies: ["GatewayLoad", "GatewayTLS", "WebSocket", "GatewayIO", "Bytes"]),
        .testTarget(
            name: "GatewayControlTests",
            dependencies: [
                "GatewayControl", "GatewayConfiguration", "GatewayIO", "WebSocket", "HTTP", "HandlerModules",
                "TestSupport",
            ]),
        .testTarget(
            name: "GatewayServerTests",
            dependencies: [
                "GatewayServer", "GatewayControl", "GatewayConfiguration", "GatewayMetrics", "GatewayIO",
                "HandlerModules",
                "WebSocket", "Bytes", "CLinux", "TestSupport", "gateway",
            ]),
        .testTarget(name: "HandlerTrialTests", dependencies: ["HandlerTrial", "GatewayServer"]),
        .testTarget(name: "HandlerTemplatesTests", dependencies: ["HandlerTemplates"]),
        .testTarget(name: "GatewayTests", dependencies: ["gateway", "GatewayLoad", "GatewayConfiguration"]),
        .testTarget(
            name: "GatewayHandlerTests", dependencies: ["GatewayHandler", "GatewayHandlerJSON", "CGatewayABI"],
            swiftSettings: Array(strict.dropFirst())),
    ]
        + chats.map {
            .target(
                name: $0, dependencies: ["ChatRoom", "GatewayHandler"], path: "Plugins/\($0)", swiftSettings: fast)
        }
        + samples.map {
            .target(
                name: $0, dependencies: ["GatewayHandler"], path: "Plugins/\($0)",
                exclude: $0 == "auth" ? ["tokens"] : [], swiftSettings: fast)
        }
        + backplanes.map {
            .target(
                name: $0.target, dependencies: ["CBackplaneABI", "CBackplaneKit"], publicHeadersPath: ".",
                linkerSettings: [.linkedLibrary($0.library)])
        },
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
