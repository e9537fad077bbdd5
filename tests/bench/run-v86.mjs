// node run-v86.mjs [--out=f.json] [--bench=all|a,b] [--mem=256] [--nojit] [--v] [--v86=DIR] [--kernel=] [--initrd=] [--bios=] [--vgabios=] [--timeout=600]
import fs from "node:fs"; import path from "node:path"; import url from "node:url";
import { Collector } from "./harness.mjs";
const H = path.join(path.dirname(url.fileURLToPath(import.meta.url)), "../../build");
const o = Object.fromEntries(process.argv.slice(2).map(a => { const m = /^--([^=]+)(?:=(.*))?$/.exec(a); return [m[1], m[2] ?? true]; }));
const dir = path.resolve(o.v86 ?? path.join(H, "../node_modules/v86/build"));
const { V86 } = await import(url.pathToFileURL(path.join(dir, "libv86.mjs")));
const buf = f => { const b = fs.readFileSync(f); return { buffer: b.buffer.slice(b.byteOffset, b.byteOffset + b.length) }; };
const stats = { modules: 0, bytes: 0, max: 0, compile_ms: 0 };
const inst = WebAssembly.instantiate;   // count JIT modules (v86 calls WebAssembly.instantiate(bytes, imports))
WebAssembly.instantiate = function (b, i) {
  const n = b.byteLength ?? 0; if (n) { stats.modules++; stats.bytes += n; if (stats.modules > 1) stats.max = Math.max(stats.max, n); else stats.main_wasm = n; }
  const t = performance.now(); const p = inst.call(WebAssembly, b, i); p.then(() => { stats.compile_ms += performance.now() - t; }); return p; };
let emu;
const finish = (res, why) => {
  res.emulator = "v86"; res.node = process.version; res.jit = !o.nojit; res.end = why; res.jitstats = stats; res.rss_mb = Math.round(process.memoryUsage().rss / 1048576);
  try { res.instructions = emu.get_instruction_counter(); } catch {}
  const s = JSON.stringify(res, null, 1); if (o.out) fs.writeFileSync(o.out, s); else console.log(s); process.exit(0); };
const c = new Collector({ verbose: !!o.v, onDone: r => finish(r, "done") });
setTimeout(() => finish(c.res, "timeout"), 1000 * +(o.timeout ?? 900));
c.start();
emu = new V86({
  wasm_path: path.join(dir, "v86.wasm"),
  bios: buf(o.bios ?? "/usr/share/seabios/bios.bin"), vga_bios: buf(o.vgabios ?? "/usr/share/seabios/vgabios.bin"),
  bzimage: buf(o.kernel ?? path.join(H, "guests/vmlinuz-686")), initrd: buf(o.initrd ?? path.join(H, "bench/initramfs-i386.cpio")),
  cmdline: "console=ttyS0 loglevel=3 quiet tsc=reliable mitigations=off nokaslr random.trust_cpu=on " + (o.append ?? "") + " bench=" + (o.bench ?? "all"),
  memory_size: (+(o.mem ?? 256)) << 20, vga_memory_size: 2 << 20, autostart: true, disable_jit: o.nojit ? 1 : 0, ...(o.acpi ? {acpi:true} : {}),
  net_device: { type: "none" }, disable_speaker: true, log_level: 0,
});
emu.add_listener("serial0-output-byte", b => c.ch(String.fromCharCode(b)));
