/**
 * The JavaScript side of host_jit_* (host.h): an Emscripten library, the same in Node and in browsers. Emscripten 3.1.6
 * can't parse much modern syntax.
 */
mergeInto(LibraryManager.library, {
  slipway_js_jit_support: function () {
    function valid(bytes) {
      return WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0].concat(bytes)));
    }
    // A function that is nothing but a tail call of itself; one that makes a v128.
    var tail = valid([1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 6, 1, 4, 0, 18, 0, 11]);
    var simd = valid([1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11]);
    // Node 20's V8 has branch hints behind a flag.
    if (simd && ENVIRONMENT_IS_NODE && parseInt(process.versions.v8) < 13)
      require('v8').setFlagsFromString('--experimental-wasm-branch-hinting');
    return simd ? (tail ? 3 : 1) : 0;
  },
  $slipwayJit: { imports: {} },
  slipway_js_jit_init__deps: ['$slipwayJit'],
  slipway_js_jit_init: function (functions, count, chain, length, slot) {
    var imports = { m: wasmMemory, t: wasmTable };
    functions >>>= 0;
    chain >>>= 0;
    for (var k = 0; k < count; k++)
      imports[k] = wasmTable.get(HEAPU32[(functions >>> 2) + k]);
    slipwayJit.imports = { e: imports };
    if (!length)
      return 1;
    try {
      var module = new WebAssembly.Module(HEAPU8.subarray(chain, chain + length));
      var made = new WebAssembly.Instance(module, slipwayJit.imports).exports;
      imports['0'] = made['0'];
      wasmTable.set(slot, made['1']);
      return 1;
    } catch (e) {
      err('slipway: no translated code: ' + e);
      return 0;
    }
  },
  slipway_js_jit_install__deps: ['$slipwayJit'],
  slipway_js_jit_install: function (pointer, length, slots, count) {
    pointer >>>= 0;
    slots >>>= 0;
    try {
      var module = new WebAssembly.Module(HEAPU8.subarray(pointer, pointer + length));
      var functions = new WebAssembly.Instance(module, slipwayJit.imports).exports;
      for (var k = 0; k < count; k++)
        wasmTable.set(HEAPU32[(slots >>> 2) + k], functions[k]);
      return 1;
    } catch (e) {
      err('slipway: translated code was refused: ' + e);
      return 0;
    }
  },
  slipway_js_jit_slots: function (count) {
    try {
      return wasmTable.grow(count);
    } catch (e) {
      return 0;
    }
  },
  slipway_js_jit_clear: function (slot, stub) {
    wasmTable.set(slot, wasmTable.get(stub));
  },
});
