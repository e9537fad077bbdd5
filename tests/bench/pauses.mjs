// Preloaded into Node by tests/bench/pauses: measures how long each turn of the event loop takes, in wall time and in on-CPU
// time of the main thread (which Linux counts by the tick: never more than the wall time), and the process's memory once a second. On SIGUSR2 it writes what it has to $PAUSES_FILE as JSON.
import fs from "node:fs";

const schedstat = fs.openSync("/proc/thread-self/schedstat", "r");
const text = Buffer.alloc(64);
/** On-CPU milliseconds of this thread. */
function onCpu() {
  const length = fs.readSync(schedstat, text, 0, text.length, 0);
  return Number(text.latin1Slice(0, length).split(" ", 1)[0]) / 1e6;
}

const turns = []; // [begin in s, wall ms, on-CPU ms] of those above 1 ms
const memory = []; // [s, RSS in MB]
let count = 0;
let wall = performance.now();
let cpu = onCpu();
let next = 0;

// An immediate that asks for the next one runs once a turn of the loop.
function turn() {
  const wallNow = performance.now();
  const cpuNow = onCpu();
  count++;
  if (wallNow - wall > 1) turns.push([wall / 1000, wallNow - wall, Math.min(cpuNow - cpu, wallNow - wall)]);
  if (wallNow > next) {
    memory.push([wallNow / 1000, process.memoryUsage.rss() / 1048576]);
    next = wallNow + 1000;
  }
  wall = wallNow;
  cpu = cpuNow;
  setImmediate(turn);
}
setImmediate(turn);

process.on("SIGUSR2", () => fs.writeFileSync(process.env.PAUSES_FILE, JSON.stringify({ count, turns, memory })));
