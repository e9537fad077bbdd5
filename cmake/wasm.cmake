# slipway_node_program(TARGET): makes the target a program for Node, TARGET.mjs + TARGET.wasm. The module is an ES module whose
# default export makes an instance; started by `node TARGET.mjs` it runs main(). It keeps the functions' names, which
# profiles and backtraces show.

# Debian's emcc doesn't find its own JavaScript optimizer's packages without this.
if(EXISTS /usr/share/nodejs)
  set_property(GLOBAL PROPERTY RULE_LAUNCH_LINK "${CMAKE_COMMAND} -E env NODE_PATH=/usr/share/nodejs")
endif()
if(EMSCRIPTEN_VERSION VERSION_LESS 3.1.25)
  set(stack_size_option -sTOTAL_STACK=4MB)
else()
  set(stack_size_option -sSTACK_SIZE=4MB)
endif()

set(node_library ${CMAKE_SOURCE_DIR}/core/host/node.js)
set(jit_library ${CMAKE_SOURCE_DIR}/core/host/jit.js)
set(node_pre ${CMAKE_SOURCE_DIR}/web/node/pre.js)
set(node_require ${CMAKE_SOURCE_DIR}/web/node/require.js)
set(node_host ${CMAKE_SOURCE_DIR}/web/node/host.js)
set(node_dgram ${CMAKE_SOURCE_DIR}/web/node/dgram.js)
set(node_sockets ${CMAKE_SOURCE_DIR}/web/node/sockets.js)
set(node_sockets_library ${CMAKE_SOURCE_DIR}/net/user/node.js)
set(node_websocket ${CMAKE_SOURCE_DIR}/web/node/websocket.js)
set(node_post ${CMAKE_SOURCE_DIR}/web/node/post.js)

# What Node's program and the page's have in common besides node.js: networks that JavaScript makes. Each library comes
# with the script that does its work, which stands before Emscripten's code.
set(web_net_libraries ${CMAKE_SOURCE_DIR}/core/host/websocket.js ${CMAKE_SOURCE_DIR}/core/host/broadcast.js)
set(web_net_scripts)
foreach(name websocket broadcast doh http fetch)
  list(APPEND web_net_scripts ${CMAKE_SOURCE_DIR}/web/net/${name}.js)
endforeach()
set(web_net_options)
foreach(file ${web_net_libraries})
  list(APPEND web_net_options "SHELL:--js-library ${file}")
endforeach()
foreach(file ${web_net_scripts})
  list(APPEND web_net_options "SHELL:--extern-pre-js ${file}")
endforeach()

function(slipway_node_program target)
  set_target_properties(${target} PROPERTIES SUFFIX .mjs
    LINK_DEPENDS "${node_library};${jit_library};${node_pre};${node_require};${node_host};${node_dgram};${node_sockets};${node_sockets_library};${node_websocket};${node_post};${web_net_libraries};${web_net_scripts}")
  target_link_options(${target} PRIVATE
    -sMODULARIZE=1 -sEXPORT_ES6=1 -sUSE_ES6_IMPORT_META=1 -sEXPORT_NAME=createSlipway -sENVIRONMENT=node
    -sALLOW_MEMORY_GROWTH=1 -sINITIAL_MEMORY=32MB -sMAXIMUM_MEMORY=4GB ${stack_size_option}
    -sWASM_BIGINT=1 -sEXIT_RUNTIME=1 -sNODERAWFS=1 -lnodefs.js -lnoderawfs.js
    -sNODEJS_CATCH_EXIT=0 -sNODEJS_CATCH_REJECTION=0 --profiling-funcs
    -sALLOW_TABLE_GROWTH=1 "SHELL:--js-library ${jit_library}"
    "SHELL:--js-library ${node_library}" "SHELL:--js-library ${node_sockets_library}"
    "SHELL:--extern-pre-js ${node_pre}" "SHELL:--pre-js ${node_require}" "SHELL:--extern-pre-js ${node_sockets}"
    "SHELL:--extern-pre-js ${node_host}" "SHELL:--extern-pre-js ${node_dgram}" "SHELL:--extern-pre-js ${node_websocket}"
    ${web_net_options} "SHELL:--extern-post-js ${node_post}")
endfunction()

# slipway_web_program(TARGET): the same for the worker of a web page (web/worker), in build/web.
set(web_dir ${CMAKE_SOURCE_DIR}/build/web)
set(web_pre ${CMAKE_SOURCE_DIR}/web/worker/pre.js)

# What worker.js calls (core/host/page_wasm.c, nobody else links it; core/ui/canvas_wasm.c).
set(web_exports _main _free)
foreach(name key pointer release_all instructions capture screen_text screen_visible
    save_state load_state)
  list(APPEND web_exports _slipway_${name})
endforeach()
string(REPLACE ";" "','" web_exports "${web_exports}")

function(slipway_web_program target)
  set_target_properties(${target} PROPERTIES SUFFIX .mjs OUTPUT_NAME core RUNTIME_OUTPUT_DIRECTORY ${web_dir}
    LINK_DEPENDS "${node_library};${jit_library};${node_sockets_library};${web_pre};${web_net_libraries};${web_net_scripts}")
  target_link_options(${target} PRIVATE
    -sMODULARIZE=1 -sEXPORT_ES6=1 -sUSE_ES6_IMPORT_META=1 -sEXPORT_NAME=createSlipway -sENVIRONMENT=worker
    -sALLOW_MEMORY_GROWTH=1 -sINITIAL_MEMORY=32MB -sMAXIMUM_MEMORY=4GB ${stack_size_option}
    -sWASM_BIGINT=1 -sEXIT_RUNTIME=1 -sFORCE_FILESYSTEM=1 -sALLOW_TABLE_GROWTH=1
    "-sEXPORTED_RUNTIME_METHODS=['FS','ccall','UTF8ToString','addRunDependency','removeRunDependency']"
    "-sEXPORTED_FUNCTIONS=['${web_exports}']"
    "SHELL:--js-library ${jit_library}" "SHELL:--js-library ${node_library}" "SHELL:--js-library ${node_sockets_library}"
    "SHELL:--extern-pre-js ${web_pre}" ${web_net_options})
endfunction()
