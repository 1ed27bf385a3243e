// swift-tools-version: 6.3
import PackageDescription

/// Generations of a handler live side by side in one gateway, and Swift tells types apart by the names of their
/// modules: each build has a name of its own. `make` counts; without it this is a package like any other.
let build = Context.environment["HANDLER_BUILD"] ?? "0"

let package = Package(
    name: "@NAME@",
    products: [.library(name: "@NAME@", type: .dynamic, targets: ["@NAME@"])],
    targets: [
        .target(name: "CGatewayABI", path: "Kit/CGatewayABI"),
        .target(
            name: "GatewayHandler", dependencies: ["CGatewayABI"], path: "Kit/GatewayHandler",
            swiftSettings: [
                .strictMemorySafety(), .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"), .enableUpcomingFeature("InternalImportsByDefault"),
                .enableExperimentalFeature("Lifetimes"),
                .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
            ]),
        .target(
            name: "@NAME@", dependencies: ["GatewayHandler"], path: "Sources",
            swiftSettings: [.unsafeFlags(["-module-name", "@IDENTIFIER@_\(build)"])],
            // A handler shows the gateway one function and keeps the rest to itself. Where there is no toolchain, the
            // runtime is that of the gateway's package.
            linkerSettings: [
                .unsafeFlags([
                    "-Xlinker", "--version-script=\(Context.packageDirectory)/exports.map",
                    "-Xlinker", "-rpath=/usr/lib/gateway",
                ])
            ]),
    ],
    swiftLanguageModes: [.v6]
)
