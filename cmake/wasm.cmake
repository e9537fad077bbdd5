# The command line program for Node: build/wasm/slipway.mjs + slipway.wasm. The module is an ES module whose
# default export makes an instance; started by `node slipway.mjs` it runs the command line.

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
set(node_pre ${CMAKE_SOURCE_DIR}/web/node/pre.js)
set(node_post ${CMAKE_SOURCE_DIR}/web/node/post.js)

set_target_properties(slipway PROPERTIES SUFFIX .mjs
  LINK_DEPENDS "${node_library};${node_pre};${node_post}")
target_link_options(slipway PRIVATE
  -sMODULARIZE=1 -sEXPORT_ES6=1 -sUSE_ES6_IMPORT_META=1 -sEXPORT_NAME=createSlipway -sENVIRONMENT=node
  -sALLOW_MEMORY_GROWTH=1 -sINITIAL_MEMORY=32MB -sMAXIMUM_MEMORY=4GB ${stack_size_option}
  -sWASM_BIGINT=1 -sEXIT_RUNTIME=1 -sNODERAWFS=1 -lnodefs.js -lnoderawfs.js
  -sNODEJS_CATCH_EXIT=0 -sNODEJS_CATCH_REJECTION=0
  --js-library ${node_library} --extern-pre-js ${node_pre} --extern-post-js ${node_post})
