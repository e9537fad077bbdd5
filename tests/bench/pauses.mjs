// Preloaded into Node by tests/bench/pauses: measures how long each turn of the event loop takes, in wall time and in processor time of the main
// thread (CLOCK_THREAD_CPUTIME_ID, which Node offers through WASI only), what of it WebAssembly's compiler took for translated code, collections of garbage, and the process's memory once a
// second. On SIGUSR2 it writes what it has to $PAUSES_FILE as JSON.
import fs from "node:fs";
import { WASI } from "node:wasi";

const THREAD_CPUTIME = 3; // of WASI's clocks
const wasi = new WASI({ version: "preview1" });
const memory = new WebAssembly.Memory({ initial: 1 });
wasi.initialize({ exports: { memory } });
const time = new DataView(memory.buffer);
/** Processor time of this thread in ms. */
function onCpu() {
  wasi.wasiImport.clock_time_get(THREAD_CPUTIME, 1n, 0);
  return Number(time.getBigUint64(0, true)) / 1e6;
}

const turns = []; // [begin in s, wall ms, on-CPU ms, of it in compilers, bytes compiled] of those above 1 ms
const collections = []; // [begin in s, ms]
const rss = []; // [s, RSS in MB]
let count = 0;
let wall = performance.now();
let cpu = onCpu();
let next = 0;
let compiling = 0;
let bytes = 0;

for (const name of ["Module", "Instance"]) {
  WebAssembly[name] = new Proxy(WebAssembly[name], {
    construct(target, args) {
      const start = onCpu();
      const made = Reflect.construct(target, args);
      compiling += onCpu() - start;
      bytes += args[0].byteLength ?? 0;
      return made;
    },
  });
}

new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) collections.push([entry.startTime / 1000, entry.duration]);
}).observe({ entryTypes: ["gc"] });

// An immediate that asks for the next one runs once a turn of the loop.
function turn() {
  const wallNow = performance.now();
  const cpuNow = onCpu();
  count++;
  if (wallNow - wall > 1) turns.push([wall / 1000, wallNow - wall, cpuNow - cpu, compiling, bytes]);
  if (wallNow > next) {
    rss.push([wallNow / 1000, process.memoryUsage.rss() / 1048576]);
    next = wallNow + 1000;
  }
  wall = wallNow;
  cpu = cpuNow;
  compiling = bytes = 0;
  setImmediate(turn);
}
setImmediate(turn);

process.on("SIGUSR2", () => fs.writeFileSync(process.env.PAUSES_FILE, JSON.stringify({ count, turns, collections, memory: rss })));
