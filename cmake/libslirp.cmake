# libslirp, the TCP/IP stack of user-mode networking: Debian's source (scripts/sources), with our patches, our piece of
# GLib and our sockets (net/user/libslirp). Sets slirp_include; its objects are part of the core, which it calls back.
set(slirp_dir ${CMAKE_SOURCE_DIR}/build/sources/libslirp)
file(GLOB slirp_patches CONFIGURE_DEPENDS net/user/patches/*.patch)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${slirp_patches} scripts/sources)
execute_process(COMMAND ${CMAKE_SOURCE_DIR}/scripts/sources libslirp RESULT_VARIABLE slirp_result)
if(NOT slirp_result EQUAL 0)
  message(FATAL_ERROR "scripts/sources libslirp failed: the messages above say why")
endif()

set(SLIRP_MAJOR_VERSION 4)
set(SLIRP_MINOR_VERSION 7)
set(SLIRP_MICRO_VERSION 0)
set(SLIRP_VERSION_STRING "\"4.7.0\"")
# What the core sees of it is one header; the names of its other ones are too common.
set(slirp_include ${CMAKE_CURRENT_BINARY_DIR}/libslirp)
configure_file(${slirp_dir}/src/libslirp-version.h.in ${slirp_include}/libslirp-version.h @ONLY)
configure_file(${slirp_dir}/src/libslirp.h ${slirp_include}/libslirp.h COPYONLY)

# All but cksum.c (glue.c has a faster one).
set(slirp_sources)
foreach(name arp_table bootp dhcpv6 dnssearch if ip6_icmp ip6_input ip6_output ip_icmp ip_input ip_output mbuf misc
             ncsi ndp_table sbuf slirp socket state stream tcp_input tcp_output tcp_subr tcp_timer tftp udp udp6 util
             version vmstate)
  list(APPEND slirp_sources ${slirp_dir}/src/${name}.c)
endforeach()
# Which name servers there are is the transport's to say (stack.c): libslirp's own functions get another name.
set_source_files_properties(${slirp_dir}/src/slirp.c PROPERTIES
  COMPILE_DEFINITIONS "get_dns_addr=slirp_own_dns_addr;get_dns6_addr=slirp_own_dns6_addr")

add_library(slirp OBJECT ${slirp_sources} net/user/libslirp/glib.c net/user/libslirp/glue.c)
target_include_directories(slirp PRIVATE ${slirp_dir}/src ${slirp_include} net/user/libslirp/include core .)
target_compile_definitions(slirp PRIVATE G_LOG_DOMAIN="Slirp" _GNU_SOURCE)
# Its structures overlay packets at odd addresses, it shifts into sign bits and adds -1 as an unsigned offset: our
# processors and WebAssembly allow that, and UBSan is told so.
target_compile_options(slirp PRIVATE -w -fno-strict-aliasing -include ${CMAKE_SOURCE_DIR}/net/user/libslirp/redirect.h)
if(SLIPWAY_SANITIZE)
  target_compile_options(slirp PRIVATE -fsanitize=address,undefined -fno-sanitize=alignment,shift-base,pointer-overflow
    -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
endif()
