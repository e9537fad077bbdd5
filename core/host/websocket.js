/**
 * Connects websocket_wasm.c with web/net/websocket.js: an Emscripten JavaScript library (see node.js).
 */
mergeInto(LibraryManager.library, {
  slipway_js_websocket_open__deps: SLIPWAY_STRINGS,
  slipway_js_websocket_open: function (url, protocol, messageMax, owner, error, errorLength) {
    slipwayWebSockets.core = {
      event: _slipway_websocket_event,
      put: function (to, bytes) { // false: there is no memory
        var pointer = _slipway_websocket_buffer(to, bytes.length) >>> 0;
        if (pointer) HEAPU8.set(bytes, pointer);
        return pointer !== 0;
      },
    };
    try {
      return slipwayWebSockets.open(UTF8ToString(url), UTF8ToString(protocol), messageMax, owner);
    } catch (e) {
      stringToUTF8(e.message, error >>> 0, errorLength);
      return 0;
    }
  },
  slipway_js_websocket_send: function (number, pointer, length) {
    slipwayWebSockets.send(number, HEAPU8, pointer >>> 0, length);
  },
  slipway_js_websocket_backlog: function (number) {
    return slipwayWebSockets.backlog(number);
  },
  slipway_js_websocket_close: function (number, code) {
    slipwayWebSockets.close(number, code);
  },
});
