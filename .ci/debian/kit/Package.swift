// swift-tools-version: 6.3
import PackageDescription

// The kit for handlers in Swift, as it is installed: `.package(path: "/usr/share/gateway/kit")` in a package of yours.
let strict: [SwiftSetting] = [
    .strictMemorySafety(), .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "kit",
    products: [
        .library(name: "GatewayHandler", targets: ["GatewayHandler"]),
        .library(name: "GatewayHandlerJSON", targets: ["GatewayHandlerJSON"]),
    ],
    targets: [
        .target(name: "CGatewayABI"),
        .target(
            name: "GatewayHandler", dependencies: ["CGatewayABI"],
            swiftSettings: strict + [
                .enableExperimentalFeature("Lifetimes"),
                .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
            ],
            // Where the package of the gateway has the runtime, for machines without a toolchain.
            linkerSettings: [.unsafeFlags(["-Xlinker", "-rpath=/usr/lib/gateway"])]),
        .target(name: "GatewayHandlerJSON", dependencies: ["GatewayHandler"], swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
