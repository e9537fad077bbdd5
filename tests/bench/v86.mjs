// npm's v86 as a program that takes the options that the benchmarks give to every emulator:
//   node v86.mjs V86_BUILD_DIRECTORY -m MB -kernel FILE -initrd FILE -append TEXT
// The first serial port is standard output; everything else that v86 could show is off.
import fs from "node:fs";
import path from "node:path";
import url from "node:url";

const [directory, ...words] = process.argv.slice(2);
const options = {};
for (let i = 0; i < words.length; i += 2) options[words[i].slice(1)] = words[i + 1];

const { V86 } = await import(url.pathToFileURL(path.join(directory, "libv86.mjs")));
const file = (name) => {
  const data = fs.readFileSync(name);
  return { buffer: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) };
};

const emulator = new V86({
  wasm_path: path.join(directory, "v86.wasm"),
  bios: file("/usr/share/seabios/bios.bin"),
  vga_bios: file("/usr/share/seabios/vgabios.bin"),
  bzimage: file(options.kernel),
  initrd: file(options.initrd),
  cmdline: options.append,
  memory_size: Number(options.m) << 20,
  vga_memory_size: 2 << 20,
  net_device: { type: "none" },
  disable_speaker: true,
  log_level: 0,
  autostart: true,
});

// A line at once, so that a marker costs one system call; what has no end (a prompt) after this turn.
let line = "";
const flush = () => {
  if (line) fs.writeSync(1, line, null, "latin1");
  line = "";
};
emulator.add_listener("serial0-output-byte", (byte) => {
  if (!line) setImmediate(flush);
  line += String.fromCharCode(byte);
  if (byte === 10) flush();
});
