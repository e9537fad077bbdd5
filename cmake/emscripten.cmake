# Toolchain of the wasm preset: finds Emscripten's own toolchain file. EMSDK (set by emsdk_env.sh) or
# EMSCRIPTEN_ROOT_PATH name another Emscripten than Debian's.
if(DEFINED ENV{EMSCRIPTEN_ROOT_PATH})
  set(emscripten_root $ENV{EMSCRIPTEN_ROOT_PATH})
elseif(DEFINED ENV{EMSDK})
  set(emscripten_root $ENV{EMSDK}/upstream/emscripten)
else()
  set(emscripten_root /usr/share/emscripten)
endif()
set(emscripten_file ${emscripten_root}/cmake/Modules/Platform/Emscripten.cmake)
if(NOT EXISTS ${emscripten_file})
  message(FATAL_ERROR "Emscripten isn't in ${emscripten_root}: install Debian's package emscripten, or set EMSDK")
endif()
include(${emscripten_file})
