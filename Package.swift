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

let package = Package(
    name: "gateway",
    targets: [
        .target(name: "CGatewayABI"),
        .target(name: "CLinux"),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "Bytes", swiftSettings: fast),
        .target(name: "GatewayIO", dependencies: ["CLinux", "Bytes"], swiftSettings: fast),
        .target(name: "WebSocket", dependencies: ["Bytes"], swiftSettings: fast),
        .target(name: "TestSupport", path: "Tests/Support"),
        .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
        .testTarget(name: "BytesTests", dependencies: ["Bytes", "TestSupport", "AllocationCounter"]),
        .testTarget(name: "GatewayIOTests", dependencies: ["GatewayIO", "Bytes", "TestSupport", "AllocationCounter"]),
        .testTarget(name: "WebSocketTests", dependencies: ["WebSocket", "Bytes", "TestSupport", "AllocationCounter"]),
    ],
    swiftLanguageModes: [.v6]
)
