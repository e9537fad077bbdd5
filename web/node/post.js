
// Put after Emscripten's code: `node slipway.mjs OPTIONS` is the command line program. Emscripten's own loader would
// fetch() the wasm file, which Node's fetch can't do for a path.
if (process.argv[1] && slipwayFs.realpathSync(process.argv[1]) === __filename) {
  createSlipway({
    arguments: process.argv.slice(2),
    thisProgram: 'slipway',
    wasmBinary: slipwayFs.readFileSync(__filename.replace(/mjs$/, 'wasm')),
  });
}
