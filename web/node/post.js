
// Put after Emscripten's code: `node slipway.mjs OPTIONS` is the command line program. Emscripten's own loader would
// fetch() the wasm file, which Node's fetch can't do for a path.
const slipwayFs = require('node:fs');
if (process.argv[1] && slipwayFs.realpathSync(process.argv[1]) === __filename) {
  createSlipway({
    arguments: process.argv.slice(2),
    thisProgram: 'slipway',
    wasmBinary: slipwayFs.readFileSync(new URL('slipway.wasm', import.meta.url)),
  });
}
