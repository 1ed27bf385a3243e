#include "ctemplates.h"

/* An extension of the compiler until C23 is the standard here. */
#pragma clang diagnostic ignored "-Wc23-extensions"

/* Every file under `files` and of the kit: HandlerTemplatesTests says when one is missing. */
static const struct ctemplates_file all[] = {
    {"common/README.md", (const char[]){
#embed "files/common/README.md" suffix(, 0)
    }},
    {"common/gateway.conf", (const char[]){
#embed "files/common/gateway.conf" suffix(, 0)
    }},
    {"common/gitignore", (const char[]){
#embed "files/common/gitignore" suffix(, 0)
    }},
    {"common/test_client.py", (const char[]){
#embed "files/common/test_client.py" suffix(, 0)
    }},
    {"c/Makefile", (const char[]){
#embed "files/c/Makefile" suffix(, 0)
    }},
    {"c/files.md", (const char[]){
#embed "files/c/files.md" suffix(, 0)
    }},
    {"c/handler.c", (const char[]){
#embed "files/c/handler.c" suffix(, 0)
    }},
    {"c/notes.md", (const char[]){
#embed "files/c/notes.md" suffix(, 0)
    }},
    {"cpp/Makefile", (const char[]){
#embed "files/cpp/Makefile" suffix(, 0)
    }},
    {"cpp/files.md", (const char[]){
#embed "files/cpp/files.md" suffix(, 0)
    }},
    {"cpp/handler.cpp", (const char[]){
#embed "files/cpp/handler.cpp" suffix(, 0)
    }},
    {"cpp/notes.md", (const char[]){
#embed "files/cpp/notes.md" suffix(, 0)
    }},
    {"rust/Cargo.toml", (const char[]){
#embed "files/rust/Cargo.toml" suffix(, 0)
    }},
    {"rust/Makefile", (const char[]){
#embed "files/rust/Makefile" suffix(, 0)
    }},
    {"rust/files.md", (const char[]){
#embed "files/rust/files.md" suffix(, 0)
    }},
    {"rust/gw.rs", (const char[]){
#embed "files/rust/gw.rs" suffix(, 0)
    }},
    {"rust/lib.rs", (const char[]){
#embed "files/rust/lib.rs" suffix(, 0)
    }},
    {"rust/notes.md", (const char[]){
#embed "files/rust/notes.md" suffix(, 0)
    }},
    {"swift/Fleck.swift", (const char[]){
#embed "files/swift/Fleck.swift" suffix(, 0)
    }},
    {"swift/Functional.swift", (const char[]){
#embed "files/swift/Functional.swift" suffix(, 0)
    }},
    {"swift/Imperative.swift", (const char[]){
#embed "files/swift/Imperative.swift" suffix(, 0)
    }},
    {"swift/Makefile", (const char[]){
#embed "files/swift/Makefile" suffix(, 0)
    }},
    {"swift/Package.swift", (const char[]){
#embed "files/swift/Package.swift" suffix(, 0)
    }},
    {"swift/Reactive.swift", (const char[]){
#embed "files/swift/Reactive.swift" suffix(, 0)
    }},
    {"swift/exports.map", (const char[]){
#embed "files/swift/exports.map" suffix(, 0)
    }},
    {"swift/files.md", (const char[]){
#embed "files/swift/files.md" suffix(, 0)
    }},
    {"swift/notes.md", (const char[]){
#embed "files/swift/notes.md" suffix(, 0)
    }},
    {"kit/CGatewayABI/abi.c", (const char[]){
#embed "../CGatewayABI/abi.c" suffix(, 0)
    }},
    {"kit/CGatewayABI/include/gw_extensions.h", (const char[]){
#embed "../CGatewayABI/include/gw_extensions.h" suffix(, 0)
    }},
    {"kit/CGatewayABI/include/gw_handler.h", (const char[]){
#embed "../CGatewayABI/include/gw_handler.h" suffix(, 0)
    }},
    {"kit/GatewayHandler/HandlerDescription.swift", (const char[]){
#embed "../GatewayHandler/HandlerDescription.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/BorrowedValues.swift", (const char[]){
#embed "../GatewayHandler/BorrowedValues.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/CloseCode.swift", (const char[]){
#embed "../GatewayHandler/CloseCode.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/CloseEvent.swift", (const char[]){
#embed "../GatewayHandler/CloseEvent.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/ClosingError.swift", (const char[]){
#embed "../GatewayHandler/ClosingError.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Connection+Send.swift", (const char[]){
#embed "../GatewayHandler/Connection+Send.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Connection.swift", (const char[]){
#embed "../GatewayHandler/Connection.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/ConnectionFlow.swift", (const char[]){
#embed "../GatewayHandler/ConnectionFlow.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/ConnectionInfo.swift", (const char[]){
#embed "../GatewayHandler/ConnectionInfo.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/ConnectionUUID.swift", (const char[]){
#embed "../GatewayHandler/ConnectionUUID.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/OutlivingTasks.swift", (const char[]){
#embed "../GatewayHandler/OutlivingTasks.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Deferred.swift", (const char[]){
#embed "../GatewayHandler/Deferred.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/PendingClosures.swift", (const char[]){
#embed "../GatewayHandler/PendingClosures.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Failure.swift", (const char[]){
#embed "../GatewayHandler/Failure.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Fleck.swift", (const char[]){
#embed "../GatewayHandler/Fleck.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Frame.swift", (const char[]){
#embed "../GatewayHandler/Frame.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Functional.swift", (const char[]){
#embed "../GatewayHandler/Functional.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/FunctionalHandler.swift", (const char[]){
#embed "../GatewayHandler/FunctionalHandler.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/GapHandler.swift", (const char[]){
#embed "../GatewayHandler/GapHandler.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Gateway.swift", (const char[]){
#embed "../GatewayHandler/Gateway.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Handler.swift", (const char[]){
#embed "../GatewayHandler/Handler.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Handover.swift", (const char[]){
#embed "../GatewayHandler/Handover.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/HandoverHandler.swift", (const char[]){
#embed "../GatewayHandler/HandoverHandler.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Headers.swift", (const char[]){
#embed "../GatewayHandler/Headers.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Hold.swift", (const char[]){
#embed "../GatewayHandler/Hold.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Host.swift", (const char[]){
#embed "../GatewayHandler/Host.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/ImperativeHandler.swift", (const char[]){
#embed "../GatewayHandler/ImperativeHandler.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Inbox.swift", (const char[]){
#embed "../GatewayHandler/Inbox.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Instance+Events.swift", (const char[]){
#embed "../GatewayHandler/Instance+Events.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Instance.swift", (const char[]){
#embed "../GatewayHandler/Instance.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Scheduling.swift", (const char[]){
#embed "../GatewayHandler/Scheduling.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/LogLevel.swift", (const char[]){
#embed "../GatewayHandler/LogLevel.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Manifest.swift", (const char[]){
#embed "../GatewayHandler/Manifest.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Message.swift", (const char[]){
#embed "../GatewayHandler/Message.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Module+Handover.swift", (const char[]){
#embed "../GatewayHandler/Module+Handover.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Module.swift", (const char[]){
#embed "../GatewayHandler/Module.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Offload.swift", (const char[]){
#embed "../GatewayHandler/Offload.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/OptionalCallbacks.swift", (const char[]){
#embed "../GatewayHandler/OptionalCallbacks.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/ReactiveHandler.swift", (const char[]){
#embed "../GatewayHandler/ReactiveHandler.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/ReloadHandler.swift", (const char[]){
#embed "../GatewayHandler/ReloadHandler.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Reply.swift", (const char[]){
#embed "../GatewayHandler/Reply.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Request.swift", (const char[]){
#embed "../GatewayHandler/Request.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Response.swift", (const char[]){
#embed "../GatewayHandler/Response.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/SendResult.swift", (const char[]){
#embed "../GatewayHandler/SendResult.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Session+Waiting.swift", (const char[]){
#embed "../GatewayHandler/Session+Waiting.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Session.swift", (const char[]){
#embed "../GatewayHandler/Session.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/SessionExecutor.swift", (const char[]){
#embed "../GatewayHandler/SessionExecutor.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Socket+Scheduling.swift", (const char[]){
#embed "../GatewayHandler/Socket+Scheduling.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Socket.swift", (const char[]){
#embed "../GatewayHandler/Socket.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/StartContext.swift", (const char[]){
#embed "../GatewayHandler/StartContext.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/StateError.swift", (const char[]){
#embed "../GatewayHandler/StateError.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/StateReader.swift", (const char[]){
#embed "../GatewayHandler/StateReader.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/StateSlot.swift", (const char[]){
#embed "../GatewayHandler/StateSlot.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/StateValue.swift", (const char[]){
#embed "../GatewayHandler/StateValue.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/StateWriter.swift", (const char[]){
#embed "../GatewayHandler/StateWriter.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/StatefulHandler.swift", (const char[]){
#embed "../GatewayHandler/StatefulHandler.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Statelessness.swift", (const char[]){
#embed "../GatewayHandler/Statelessness.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Topics.swift", (const char[]){
#embed "../GatewayHandler/Topics.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/TypePrewarming.swift", (const char[]){
#embed "../GatewayHandler/TypePrewarming.swift" suffix(, 0)
    }},
    {"kit/GatewayHandler/Upgrade.swift", (const char[]){
#embed "../GatewayHandler/Upgrade.swift" suffix(, 0)
    }},
};

const struct ctemplates_file *ctemplates_file(size_t number) {
    return number < sizeof all / sizeof all[0] ? &all[number] : NULL;
}
