// npm's wisp-js client against a relay: node wisp.mjs URL ECHO_PORT CLOSED_PORT UDP_PORT; prints one line of JSON.
// The process runs in the directory with node_modules.
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const { client } = require("@mercuryworkshop/wisp-js/client");
const [url, echo, closed, udp] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const result = {};
const connection = new client.ClientConnection(url);
await new Promise((done, fail) => { connection.onopen = done; connection.onerror = fail; connection.onclose = fail; });

// 6 MiB through an echo server: more than the 128 packets that go without CONTINUE.
result.echo = await new Promise((done) => {
    const size = 6 << 20, piece = 16384, stream = connection.create_stream("127.0.0.1", echo);
    let got = 0, good = true;
    stream.onmessage = (data) => {
        for (const byte of data) good &&= byte === (got++ * 7 & 255);
        if (got === size) { stream.close(); done(good); }
    };
    stream.onclose = (reason) => done("closed " + reason);
    for (let at = 0; at < size; at += piece) stream.send(Uint8Array.from({ length: piece }, (_, i) => (at + i) * 7 & 255));
});
const reason = (host, port) => new Promise((done) => { connection.create_stream(host, port).onclose = done; });
result.refused = await reason("127.0.0.1", closed);
result.blocked = await reason("::ffff:10.0.0.1", 80);
result.name = await new Promise((done) => {
    const stream = connection.create_stream("localhost", echo);
    stream.onmessage = (data) => done(new TextDecoder().decode(data));
    stream.onclose = (reason) => done("closed " + reason);
    stream.send(new TextEncoder().encode("by name"));
});
result.udp = await new Promise((done) => {
    const stream = connection.create_stream("127.0.0.1", udp, "udp");
    stream.onmessage = (data) => done(new TextDecoder().decode(data));
    stream.send(new TextEncoder().encode("datagram"));
});
console.log(JSON.stringify(result));
process.exit(0);
