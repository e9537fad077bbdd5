# build/NAME/slipway-relay: all of relay/ but the protocol library. Natively only. libwebsockets loads its libuv part
# (libwebsockets-evlib-uv) when it starts.
find_package(PkgConfig REQUIRED)
pkg_check_modules(RELAY_LIBRARIES REQUIRED IMPORTED_TARGET libwebsockets libuv libcares libcrypto libseccomp libcap)

file(GLOB relay_sources CONFIGURE_DEPENDS relay/*.c)
list(FILTER relay_sources EXCLUDE REGEX "relay/(protocol|egress|main)\\.c$")
add_library(relay STATIC ${relay_sources} core/error.c)
target_compile_definitions(relay PUBLIC SLIPWAY_VERSION="${PROJECT_VERSION}")
target_compile_options(relay PUBLIC $<TARGET_PROPERTY:core,INTERFACE_COMPILE_OPTIONS>)
target_link_options(relay PUBLIC $<TARGET_PROPERTY:core,INTERFACE_LINK_OPTIONS>)
target_link_libraries(relay PUBLIC relay_protocol PkgConfig::RELAY_LIBRARIES)

add_executable(slipway-relay relay/main.c)
target_link_libraries(slipway-relay PRIVATE relay)
