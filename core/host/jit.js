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
    return simd ? (tail ? 3 : 1) : 0;
  },
  slipway_js_jit_install: function (pointer, length) {
    pointer >>>= 0;
    try {
      var module = new WebAssembly.Module(HEAPU8.subarray(pointer, pointer + length));
      new WebAssembly.Instance(module, { e: { m: wasmMemory, t: wasmTable } });
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
