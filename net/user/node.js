/**
 * Connects net/user/sockets_wasm.c with web/node/sockets.js: an Emscripten JavaScript library (see core/host/node.js).
 * Addresses go as text; results below 0 are errors, see there.
 */
mergeInto(LibraryManager.library, {
  user_js_open: function (family, stream, owner) {
    slipwaySockets.ready = _user_socket_ready;
    return slipwaySockets.open(family, !!stream, owner);
  },
  user_js_connect__deps: SLIPWAY_STRINGS,
  user_js_connect: function (number, host, port) {
    return slipwaySockets.connect(number, UTF8ToString(host), port);
  },
  user_js_bind__deps: SLIPWAY_STRINGS,
  user_js_bind: function (number, host, port) {
    return slipwaySockets.bind(number, UTF8ToString(host), port);
  },
  user_js_listen: function (number, v6only) {
    return slipwaySockets.listen(number, !!v6only);
  },
  user_js_accept: function (number) {
    return slipwaySockets.accept(number);
  },
  user_js_shutdown: function (number, read, write) {
    return slipwaySockets.shutdown(number, !!read, !!write);
  },
  user_js_send: function (number, pointer, length) {
    return slipwaySockets.send(number, HEAPU8, pointer >>> 0, length);
  },
  user_js_recv: function (number, pointer, length) {
    return slipwaySockets.receive(number, HEAPU8, pointer >>> 0, length);
  },
  user_js_sendto__deps: SLIPWAY_STRINGS,
  user_js_sendto: function (number, pointer, length, host, port) {
    return slipwaySockets.sendTo(number, HEAPU8, pointer >>> 0, length, UTF8ToString(host), port);
  },
  user_js_recvfrom__deps: SLIPWAY_STRINGS,
  user_js_recvfrom: function (number, pointer, length, host, hostLength, port) {
    return slipwaySockets.receiveFrom(number, HEAPU8, pointer >>> 0, length, function (address, from) {
      stringToUTF8(address, host >>> 0, hostLength);
      HEAP32[port >>> 2] = from;
    });
  },
  user_js_name__deps: SLIPWAY_STRINGS,
  user_js_name: function (number, peer, host, hostLength) {
    var at = slipwaySockets.name(number, !!peer);
    if (!at) return -1;
    stringToUTF8(at.address, host >>> 0, hostLength);
    return at.port;
  },
  user_js_set_ttl: function (number, ttl) {
    slipwaySockets.sockets[number].ttl = ttl;
  },
  user_js_error: function (number) {
    return slipwaySockets.takeError(number);
  },
  user_js_available: function (number) {
    return slipwaySockets.available(number);
  },
  user_js_want: function (number, events) {
    slipwaySockets.want(number, events);
  },
  user_js_poll: function (number) {
    return slipwaySockets.poll(number);
  },
  user_js_close: function (number) {
    slipwaySockets.close(number);
  },
  user_js_name_server__deps: SLIPWAY_STRINGS,
  user_js_name_server: function (family, host, hostLength) {
    var server = slipwaySockets.nameServer(family);
    if (server) stringToUTF8(server, host >>> 0, hostLength);
    return !!server;
  },
});
