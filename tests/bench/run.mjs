// Runs the benchmark once under one emulator:
//   node run.mjs --emulator=slipway|node|qemu [--arch=x86_64|i386] [--bench=all|a,b] [--out=f.json] [--mem=256]
//                [--args="more options"] [--timeout=900] [--v]
// tests/bench/prepare ARCH makes the initramfs.
import fs from "node:fs";
import path from "node:path";
import url from "node:url";
import { spawn } from "node:child_process";
import { Collector } from "./harness.mjs";

const root = path.join(path.dirname(url.fileURLToPath(import.meta.url)), "../..");
const o = Object.fromEntries(process.argv.slice(2).map((a) => {
  const m = /^--([^=]+)(?:=(.*))?$/.exec(a);
  return [m[1], m[2] ?? true];
}));
const arch = o.arch ?? "x86_64";
const commands = {
  slipway: [path.join(root, "build/native/slipway")],
  node: ["node", path.join(root, "build/wasm/slipway.mjs")],
  qemu: [arch === "i386" ? "qemu-system-i386" : "qemu-system-x86_64", "-accel", "tcg", "-nic", "none"],
};
const command = [
  ...commands[o.emulator], ...(o.args ? o.args.split(" ") : []),
  "-m", String(o.mem ?? 256), "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
  "-kernel", o.kernel ?? path.join(root, `build/guests/vmlinuz-${arch === "i386" ? "686" : "amd64"}`),
  "-initrd", o.initrd ?? path.join(root, `build/bench/initramfs-${arch}.cpio`),
  "-append", "console=ttyS0 loglevel=3 quiet tsc=reliable mitigations=off nokaslr random.trust_cpu=on "
    + `${o.append ?? ""} bench=${o.bench ?? "all"}`,
];

const child = spawn(command[0], command.slice(1), { stdio: ["pipe", "pipe", "inherit"] });
const finish = (result, why) => {
  result.emulator = command.slice(0, 3).join(" ");
  result.end = why;
  child.kill("SIGKILL");
  const text = JSON.stringify(result, null, 1);
  if (o.out) fs.writeFileSync(o.out, text);
  else console.log(text);
  process.exit(why === "done" ? 0 : 1);
};
// QEMU's busiest thread is its CPU; ours and Node's is the main thread.
const collector = new Collector({ verbose: !!o.v, onDone: (r) => finish(r, "done"), pid: child.pid,
  mainTid: o.emulator === "qemu" ? 0 : child.pid });
collector.t0.m = collector.t0.a = 0;
child.stdout.on("data", (d) => collector.text(d.toString("latin1")));
child.on("exit", () => finish(collector.res, "exit"));
setTimeout(() => finish(collector.res, "timeout"), 1000 * Number(o.timeout ?? 900));
