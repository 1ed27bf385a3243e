# find_package(Gateway CONFIG REQUIRED)
# gateway_add_handler(hello hello.c) builds hello.so, and `cmake --install` puts it where the gateway looks.
get_filename_component(_gateway_prefix "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)
set(Gateway_VERSION "@VERSION@")
set(Gateway_INCLUDE_DIRS "${_gateway_prefix}/include")
set(Gateway_HANDLERS_DIR "${_gateway_prefix}/lib/gateway/handlers")
set(Gateway_KIT_DIR "${_gateway_prefix}/share/gateway/kit")
unset(_gateway_prefix)

if(NOT TARGET Gateway::Handler)
    add_library(Gateway::Handler INTERFACE IMPORTED)
    set_target_properties(Gateway::Handler PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${Gateway_INCLUDE_DIRS}")
endif()

function(gateway_add_handler name)
    add_library(${name} MODULE ${ARGN})
    target_link_libraries(${name} PRIVATE Gateway::Handler)
    # A handler shows the gateway one function, which the header marks.
    set_target_properties(${name} PROPERTIES PREFIX "" C_VISIBILITY_PRESET hidden CXX_VISIBILITY_PRESET hidden)
    install(TARGETS ${name} LIBRARY DESTINATION "${Gateway_HANDLERS_DIR}")
endfunction()
