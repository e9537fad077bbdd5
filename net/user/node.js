/**
 * Connects net/user/sockets_wasm.c with the sockets that there are: Node's (web/node/sockets.js) and those made of fetch()
 * (web/net/fetch.js), told apart by their numbers; a page only has the latter. An Emscripten JavaScript library (see
 * core/host/node.js). Addresses go as text; results below 0 are errors, see there.
 */
mergeInto(LibraryManager.library, {
  $slipwaySocketsOf: function (number) {
    return number >= SlipwayFetchSockets.FIRST ? slipwayFetchSockets : slipwaySockets;
  },
  user_js_has_sockets: function () {
    return slipwaySockets !== null;
  },
  user_js_configure_fetch__deps: SLIPWAY_STRINGS,
  user_js_configure_fetch: function (owner, doh, proxy, label) {
    var name = UTF8ToString(label);
    slipwayFetchSockets.configure(owner, UTF8ToString(doh), UTF8ToString(proxy), function (text) {
      err("slipway: netdev '" + name + "': " + text);
    });
  },
  user_js_open: function (family, stream, owner, fetch) {
    var sockets = fetch ? slipwayFetchSockets : slipwaySockets;
    sockets.ready = _user_socket_ready;
    return sockets.open(family, !!stream, owner);
  },
  user_js_connect__deps: SLIPWAY_STRINGS.concat('$slipwaySocketsOf'),
  user_js_connect: function (number, host, port) {
    return slipwaySocketsOf(number).connect(number, UTF8ToString(host), port);
  },
  user_js_bind__deps: SLIPWAY_STRINGS.concat('$slipwaySocketsOf'),
  user_js_bind: function (number, host, port) {
    return slipwaySocketsOf(number).bind(number, UTF8ToString(host), port);
  },
  user_js_listen__deps: ['$slipwaySocketsOf'],
  user_js_listen: function (number, v6only) {
    return slipwaySocketsOf(number).listen(number, !!v6only);
  },
  user_js_accept__deps: ['$slipwaySocketsOf'],
  user_js_accept: function (number) {
    return slipwaySocketsOf(number).accept(number);
  },
  user_js_shutdown__deps: ['$slipwaySocketsOf'],
  user_js_shutdown: function (number, read, write) {
    return slipwaySocketsOf(number).shutdown(number, !!read, !!write);
  },
  user_js_send__deps: ['$slipwaySocketsOf'],
  user_js_send: function (number, pointer, length) {
    return slipwaySocketsOf(number).send(number, HEAPU8, pointer >>> 0, length);
  },
  user_js_recv__deps: ['$slipwaySocketsOf'],
  user_js_recv: function (number, pointer, length) {
    return slipwaySocketsOf(number).receive(number, HEAPU8, pointer >>> 0, length);
  },
  user_js_sendto__deps: SLIPWAY_STRINGS.concat('$slipwaySocketsOf'),
  user_js_sendto: function (number, pointer, length, host, port) {
    return slipwaySocketsOf(number).sendTo(number, HEAPU8, pointer >>> 0, length, UTF8ToString(host), port);
  },
  user_js_recvfrom__deps: SLIPWAY_STRINGS.concat('$slipwaySocketsOf'),
  user_js_recvfrom: function (number, pointer, length, host, hostLength, port) {
    return slipwaySocketsOf(number).receiveFrom(number, HEAPU8, pointer >>> 0, length, function (address, from) {
      stringToUTF8(address, host >>> 0, hostLength);
      HEAP32[port >>> 2] = from;
    });
  },
  user_js_name__deps: SLIPWAY_STRINGS.concat('$slipwaySocketsOf'),
  user_js_name: function (number, peer, host, hostLength) {
    var at = slipwaySocketsOf(number).name(number, !!peer);
    if (!at) return -1;
    stringToUTF8(at.address, host >>> 0, hostLength);
    return at.port;
  },
  user_js_set_ttl__deps: ['$slipwaySocketsOf'],
  user_js_set_ttl: function (number, ttl) {
    slipwaySocketsOf(number).setTtl(number, ttl);
  },
  user_js_error__deps: ['$slipwaySocketsOf'],
  user_js_error: function (number) {
    return slipwaySocketsOf(number).takeError(number);
  },
  user_js_available__deps: ['$slipwaySocketsOf'],
  user_js_available: function (number) {
    return slipwaySocketsOf(number).available(number);
  },
  user_js_want__deps: ['$slipwaySocketsOf'],
  user_js_want: function (number, events) {
    slipwaySocketsOf(number).want(number, events);
  },
  user_js_poll__deps: ['$slipwaySocketsOf'],
  user_js_poll: function (number) {
    return slipwaySocketsOf(number).poll(number);
  },
  user_js_close__deps: ['$slipwaySocketsOf'],
  user_js_close: function (number) {
    slipwaySocketsOf(number).close(number);
  },
  user_js_name_server__deps: SLIPWAY_STRINGS,
  user_js_name_server: function (family, fetch, host, hostLength) {
    var server = (fetch ? slipwayFetchSockets : slipwaySockets).nameServer(family);
    if (server) stringToUTF8(server, host >>> 0, hostLength);
    return !!server;
  },
});
