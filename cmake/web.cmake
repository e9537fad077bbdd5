# The static site build/web: the wasm core for a worker, the files of web/, firmware, xterm.js. No bundler: what is in web/
# is what a browser loads.
add_executable(slipway_web core/main.c)
target_link_libraries(slipway_web PRIVATE core)
slipway_web_program(slipway_web)

# Names and places are flat: every page and module works from any path of any server.
file(GLOB web_files CONFIGURE_DEPENDS web/worker/*.js web/lib/* web/page/* web/widget/* web/lab/* docs/options.md)
list(FILTER web_files EXCLUDE REGEX "/pre\\.js$")
set(web_copies)
foreach(file ${web_files})
  get_filename_component(name ${file} NAME)
  add_custom_command(OUTPUT ${web_dir}/${name} COMMAND ${CMAKE_COMMAND} -E copy ${file} ${web_dir}/${name}
    DEPENDS ${file} VERBATIM)
  list(APPEND web_copies ${web_dir}/${name})
endforeach()

file(GLOB lab_files CONFIGURE_DEPENDS web/labs/*)
foreach(file ${lab_files})
  get_filename_component(name ${file} NAME)
  add_custom_command(OUTPUT ${web_dir}/labs/${name} COMMAND ${CMAKE_COMMAND} -E copy ${file} ${web_dir}/labs/${name}
    DEPENDS ${file} VERBATIM)
  list(APPEND web_copies ${web_dir}/labs/${name})
endforeach()

# What comes from npm: xterm.js, and for the instructions of labs marked and DOMPurify.
set(npm_dir ${CMAKE_SOURCE_DIR}/build/npm/node_modules)
set(web_npm @xterm/xterm/lib/xterm.mjs @xterm/xterm/css/xterm.css @xterm/addon-fit/lib/addon-fit.mjs
    marked/lib/marked.esm.js dompurify/dist/purify.es.mjs)
list(TRANSFORM web_npm PREPEND ${npm_dir}/ OUTPUT_VARIABLE web_npm_files)
add_custom_command(OUTPUT ${npm_dir}/.complete BYPRODUCTS ${web_npm_files}
  COMMAND ${CMAKE_SOURCE_DIR}/scripts/sources npm
  DEPENDS ${CMAKE_SOURCE_DIR}/web/package-lock.json VERBATIM)
foreach(file ${web_npm_files})
  get_filename_component(name ${file} NAME)
  add_custom_command(OUTPUT ${web_dir}/${name} COMMAND ${CMAKE_COMMAND} -E copy ${file} ${web_dir}/${name}
    DEPENDS ${npm_dir}/.complete VERBATIM)
  list(APPEND web_copies ${web_dir}/${name})
endforeach()

# Firmware: Debian's seabios and ipxe-qemu (scripts/deps). worker.js has the names, too.
foreach(file seabios/bios-256k.bin seabios/vgabios-stdvga.bin)
  list(APPEND web_firmware /usr/share/${file})
endforeach()
foreach(name efi-e1000 efi-virtio pxe-ne2k_pci pxe-pcnet pxe-rtl8139)
  list(APPEND web_firmware /usr/lib/ipxe/qemu/${name}.rom)
endforeach()
foreach(file ${web_firmware})
  get_filename_component(name ${file} NAME)
  if(EXISTS ${file})
    add_custom_command(OUTPUT ${web_dir}/share/${name} COMMAND ${CMAKE_COMMAND} -E copy ${file} ${web_dir}/share/${name}
      DEPENDS ${file} VERBATIM)
    list(APPEND web_copies ${web_dir}/share/${name})
  else()
    message(WARNING "${file} isn't there: PCs in the page can't use it (scripts/deps installs it)")
  endif()
endforeach()

# embed.html with everything inside.
find_program(SLIPWAY_NODE NAMES node nodejs REQUIRED)
file(GLOB single_files CONFIGURE_DEPENDS web/single/*)
add_custom_command(OUTPUT ${web_dir}/embed-single.html
  COMMAND ${SLIPWAY_NODE} ${CMAKE_SOURCE_DIR}/web/single/pack.mjs ${web_dir} ${web_dir}/embed-single.html
  DEPENDS ${single_files} ${web_copies} slipway_web VERBATIM)

add_custom_target(web ALL DEPENDS ${web_copies} ${web_dir}/embed-single.html slipway_web)
