// npm's ws as an echo server: node ws_echo.mjs MAX_PAYLOAD; prints its port. Runs in the directory with node_modules.
import { createRequire } from "node:module";
const { WebSocketServer } = createRequire(process.cwd() + "/")("ws");
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: Number(process.argv[2]), perMessageDeflate: false });
server.on("connection", (socket) => {
    socket.on("error", () => {});
    socket.on("message", (data, binary) => socket.send(data, { binary }));
});
server.on("listening", () => console.log(server.address().port));
