// Inside Emscripten's function, where it can't collide with the `require` that newer Emscriptens declare for the module; Debian
// 12's declares none.
var require = slipwayRequire;
