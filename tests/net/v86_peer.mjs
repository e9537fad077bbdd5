// npm's v86 with iPXE as guest and its own network client: node v86_peer.mjs RELAY_URL ISO. Runs in the directory with node_modules.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import url from "node:url";

const require = createRequire(process.cwd() + "/");
globalThis.WebSocket = require("ws").WebSocket; // the browser's, of which v86 uses no more than is there
const build = path.join(process.cwd(), "node_modules/v86/build");
const { V86 } = await import(url.pathToFileURL(path.join(build, "libv86.mjs")));
const file = (name) => {
  const data = fs.readFileSync(name);
  return { buffer: Uint8Array.from({ length: data.length + (data.length & 3 && 4 - (data.length & 3)) }, (_, i) => data[i] ?? 0).buffer };
};
new V86({
  wasm_path: path.join(build, "v86.wasm"),
  bios: file("/usr/share/seabios/bios.bin"),
  vga_bios: file("/usr/share/seabios/vgabios.bin"),
  cdrom: file(process.argv[3]),

  memory_size: 64 << 20,
  vga_memory_size: 2 << 20,
  net_device: { type: "ne2k", relay_url: process.argv[2] },
  disable_speaker: true,
  log_level: 0,
  autostart: true,
});
