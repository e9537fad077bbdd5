/**
 * Sockets of the user-mode network in a browser, for net/user/node.js: there are none. Networks go through a relay, or
 * through fetch() (web/net/fetch.js).
 */
export const slipwaySockets = null;
