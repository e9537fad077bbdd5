// npm's ws against a relay: node ws.mjs URL; prints one line of JSON. Runs in the directory with node_modules.
import { createRequire } from "node:module";
const { WebSocket } = createRequire(process.cwd() + "/")("ws");

const message = (type, channel, body) => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE((type << 24 | body.length) >>> 0, 0);
    head.writeUInt32BE(channel, 4);
    return Buffer.concat([head, body]);
};
const hello = message(1, 0, Buffer.concat([Buffer.from("SLPW"), Buffer.from([0, 1, 0, 1]), Buffer.alloc(38)]));
const join = message(0x10, 1, Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 16, 0, 0, 0, 3]), Buffer.from("lab")]));
const frame = Buffer.concat([Buffer.from([0, 0, 5, 0xea]), Buffer.alloc(6, 255), Buffer.from([2, 0, 0, 0, 0, 1]), Buffer.alloc(1502)]);
const result = { frames: 0 };

const client = () => new Promise((ready, fail) => {
    const ws = new WebSocket(process.argv[2] + "/slipway", "slipway-relay");
    let data = Buffer.alloc(0);
    ws.on("open", () => ws.send(Buffer.concat([hello, join])));
    ws.on("error", fail);
    ws.on("message", (batch) => {
        data = Buffer.concat([data, batch]);
        for (let n; data.length >= 8 && data.length >= (n = 8 + (data.readUInt32BE(0) & 0xffffff)); data = data.subarray(n)) {
            if (data[0] === 2) { result.welcome = 2; Object.assign(result, { protocol: ws.protocol, extensions: ws.extensions }); }
            if (data[0] === 0x11) ready(ws);
            if (data[0] === 0x16) result.frames += (n - 8) / frame.length;
        }
    });
});
const [a, b] = [await client(), await client()];
for (let i = 0; i < 10; i++) a.send(message(0x16, 1, Buffer.concat(Array(20).fill(frame))));
while (result.frames < 200) await new Promise((done) => setTimeout(done, 5));
b.on("close", (code) => {
    result.close = code;
    console.log(JSON.stringify({ protocol: result.protocol, extensions: result.extensions, welcome: result.welcome,
                                 frames: result.frames, close: result.close }));
    process.exit(0);
});
b.close(4001);
