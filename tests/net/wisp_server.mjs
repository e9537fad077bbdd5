// npm's wisp-js as a server: node wisp_server.mjs; prints its port. Runs in the directory with node_modules.
import http from "node:http";
import { createRequire } from "node:module";
const { server: wisp, logging } = createRequire(process.cwd() + "/")("@mercuryworkshop/wisp-js/server");
logging.set_level(logging.NONE);
Object.assign(wisp.options, { allow_loopback_ips: true, allow_private_ips: true });
const server = http.createServer();
server.on("upgrade", (request, socket, head) => wisp.routeRequest(request, socket, head));
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => console.log(server.address().port));
