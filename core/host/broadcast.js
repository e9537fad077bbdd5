/**
 * Connects broadcast_wasm.c with web/net/broadcast.js: an Emscripten JavaScript library (see node.js).
 */
mergeInto(LibraryManager.library, {
  slipway_js_broadcast_open__deps: SLIPWAY_STRINGS,
  slipway_js_broadcast_open: function (name, messageMax, owner) {
    return slipwayBroadcasts.open(UTF8ToString(name), messageMax, function (bytes) {
      var pointer = _slipway_broadcast_buffer(owner, bytes.length) >>> 0;
      if (!pointer) return;
      HEAPU8.set(bytes, pointer);
      _slipway_broadcast_message(owner, bytes.length);
    });
  },
  slipway_js_broadcast_send: function (number, pointer, length) {
    slipwayBroadcasts.send(number, HEAPU8, pointer >>> 0, length);
  },
  slipway_js_broadcast_close: function (number) {
    slipwayBroadcasts.close(number);
  },
});
