/**
 * PCs in threads of one process, as in several tabs: node threads.mjs FIRST... [-- SECOND...]
 * Each list is the options of one PC. BroadcastChannels connect the threads. Ends when its standard input does.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, workerData } from 'node:worker_threads';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

if (isMainThread) {
  const lists = [[]];
  for (const word of process.argv.slice(2)) {
    if (word === '--') lists.push([]);
    else lists.at(-1).push(word);
  }
  for (const list of lists) new Worker(new URL(import.meta.url), { workerData: list });
  process.stdin.on('end', () => process.exit(0)).resume();
  // Not from our PCs: nobody may be harmed by it.
  const junk = new BroadcastChannel('slipway:lab');
  setInterval(() => {
    for (const data of ['text', null, { a: 1 }, new Uint8Array(0), new Uint8Array(3), Uint8Array.of(0, 0, 0, 200, 1, 2),
      Uint8Array.of(255, 255, 255, 255, 1), new Uint8Array(2 << 20)]) junk.postMessage(data);
  }, 100);
} else {
  const { default: createSlipway } = await import(path.join(root, 'build/wasm/slipway.mjs'));
  await createSlipway({ arguments: workerData, thisProgram: 'slipway',
    wasmBinary: fs.readFileSync(path.join(root, 'build/wasm/slipway.wasm')) });
}
