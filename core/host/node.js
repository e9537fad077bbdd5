/**
 * Connects the C side of the wasm platform (wasm.h) with web/node/host.js, in a browser with web/worker/host.js: an
 * Emscripten JavaScript library. Emscripten 3.1.6 can't parse much modern syntax, so the work is done there. Pointers
 * come signed: memory may exceed 2 GB.
 */
// Part of the runtime in Emscripten 3.1.6, library functions in newer ones.
var SLIPWAY_STRINGS = LibraryManager.library.$UTF8ToString ? ['$UTF8ToString', '$stringToUTF8'] : [];

mergeInto(LibraryManager.library, {
  slipway_js_start: function () {
    slipwayHost.start({ turn: _slipway_turn, exitStatus: _slipway_exit_status, signal: _slipway_signal,
      event: _slipway_stream_event, // not in programs without datagram sockets
      dgramEvent: typeof _slipway_dgram_event === 'undefined' ? null : _slipway_dgram_event });
  },
  slipway_js_wake: function () {
    slipwayHost.wake();
  },
  slipway_js_now: function () {
    return slipwayHost.clock.now();
  },
  slipway_js_random: function (pointer, length) {
    slipwayHost.random(HEAPU8, pointer >>> 0, length);
  },
  slipway_js_open__deps: SLIPWAY_STRINGS,
  slipway_js_open: function (kind, spec, mode, owner, error, errorLength) {
    try {
      return slipwayHost.open(UTF8ToString(kind), UTF8ToString(spec), mode, owner);
    } catch (e) {
      stringToUTF8(slipwayHost.message(e), error >>> 0, errorLength);
      return 0;
    }
  },
  slipway_js_set_owner: function (number, owner) {
    slipwayHost.streams[number].owner = owner;
  },
  slipway_js_read: function (number, pointer, length) {
    return slipwayHost.read(number, HEAPU8, pointer >>> 0, length);
  },
  slipway_js_write: function (number, pointer, length) {
    return slipwayHost.write(number, HEAPU8, pointer >>> 0, length);
  },
  slipway_js_want_read: function (number, want) {
    slipwayHost.wantRead(number, !!want);
  },
  slipway_js_name__deps: SLIPWAY_STRINGS,
  slipway_js_name: function (number, pointer, length) {
    stringToUTF8(slipwayHost.streams[number].name, pointer >>> 0, length);
  },
  slipway_js_close: function (number) {
    slipwayHost.close(number);
  },
  slipway_js_need__deps: SLIPWAY_STRINGS,
  slipway_js_need: function (path, whole) {
    slipwayHost.need(UTF8ToString(path), !!whole);
  },
  slipway_js_prepare__deps: ['$FS'],
  slipway_js_prepare: function () {
    return slipwayHost.prepare(FS, function () {
      try {
        _slipway_prepared();
      } catch (e) { // the loop began, or exit() was called: not an error
        if (e !== 'unwind' && e.name !== 'ExitStatus') throw e;
      }
    });
  },
  slipway_js_remote_open__deps: SLIPWAY_STRINGS,
  slipway_js_remote_open: function (name, size, error, errorLength) {
    try {
      var remote = slipwayHost.remoteOpen(UTF8ToString(name));
      if (!remote) return 0;
      HEAPF64[size >>> 3] = remote.size;
      return remote.number;
    } catch (e) {
      stringToUTF8(slipwayHost.message(e), error >>> 0, errorLength);
      return -1;
    }
  },
  slipway_js_remote_read: function (number, offset, pointer, length, request) {
    function copy(data, at) { // the bytes from @at on; now or later
      HEAPU8.set(data, (pointer >>> 0) + at);
    }
    function done(ok) {
      _slipway_remote_done(request, ok);
    }
    return slipwayHost.remoteRead(number, offset, length, copy, done);
  },
  slipway_js_remote_wait: function (number) {
    slipwayHost.remoteWait(number);
  },
  slipway_js_remote_close: function (number) {
    slipwayHost.remoteClose(number);
  },
  slipway_js_screen: function () {
    return slipwayHost.hasScreen;
  },
  slipway_js_present: function (pixels, width, height, x, y, w, h) {
    slipwayHost.present(HEAPU8.buffer, pixels >>> 0, width, height, x, y, w, h);
  },
  slipway_js_state_write: function (data, length) {
    return slipwayHost.stateWrite(HEAPU8.slice(data >>> 0, (data >>> 0) + length));
  },
  slipway_js_state_read: function (offset, pointer, length) {
    var data = slipwayHost.stateRead(offset, length);
    if (!data) return false;
    HEAPU8.set(data, pointer >>> 0);
    return true;
  },
  slipway_js_pointer: function (absolute) {
    slipwayHost.pointer(!!absolute);
  },
  slipway_js_sound: function (frames, count, rate) {
    slipwayHost.sound(HEAP16.slice(frames >>> 1, (frames >>> 1) + 2 * count), rate);
  },
  slipway_js_captured: function (capture, data, length) {
    slipwayHost.captured(capture, HEAPU8.slice(data >>> 0, (data >>> 0) + length));
  },
  slipway_js_dgram_open__deps: SLIPWAY_STRINGS,
  slipway_js_dgram_open: function (kind, local, remote, multicastInterface, owner, error, errorLength) {
    function text(pointer) {
      return pointer ? UTF8ToString(pointer) : null;
    }
    try {
      return slipwayDatagrams.open(text(kind), text(local), text(remote), text(multicastInterface), owner);
    } catch (e) {
      stringToUTF8(slipwayHost.message(e), error >>> 0, errorLength);
      return 0;
    }
  },
  slipway_js_dgram_recv: function (number, pointer, length, from) {
    return slipwayDatagrams.receive(number, HEAPU8, pointer >>> 0, length, from >>> 0);
  },
  slipway_js_dgram_send: function (number, pointer, length, to) {
    return slipwayDatagrams.send(number, HEAPU8, pointer >>> 0, length, to >>> 0);
  },
  slipway_js_dgram_name__deps: SLIPWAY_STRINGS,
  slipway_js_dgram_name: function (number, which, pointer, length) {
    var s = slipwayHost.streams[number];
    stringToUTF8([s.local, s.remote, s.error || ''][which], pointer >>> 0, length);
  },
});
