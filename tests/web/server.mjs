/**
 * A static server for the tests: directories under prefixes, byte ranges, the types that browsers insist on. With "noRange" in the
 * query it ignores ranges, with "cut" it stops in the middle of a file.
 */
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml', '.json': 'application/json',
};

/** @param {Object<string, string>} places - prefix -> directory  @param {object} more - headers. @returns {Promise<{url: string, requests: object[], close: function}>} */
export async function serve(places, more = {}) {
  const requests = [];
  const server = http.createServer((request, response) => {
    const url = new URL(request.url, 'http://server');
    const name = decodeURIComponent(url.pathname);
    const prefix = Object.keys(places).filter((p) => name.startsWith(p)).sort((a, b) => b.length - a.length)[0];
    const file = prefix && path.join(places[prefix], path.normalize(`/${name.slice(prefix.length)}`));
    const size = file && fs.existsSync(file) && fs.statSync(file).isFile() ? fs.statSync(file).size : -1;
    requests.push({ path: url.pathname, range: request.headers.range, file, size });
    if (size < 0) {
      response.writeHead(404);
      response.end('not here\n');
      return;
    }
    const headers = { 'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream', 'Cache-Control': 'no-store', ...more };
    const range = url.searchParams.has('noRange') ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    const end = range && range[2] ? Math.min(Number(range[2]), size - 1) : size - 1;
    if (start > end) {
      response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
      return;
    }
    response.writeHead(range ? 206 : 200, { ...headers, 'Content-Length': end - start + 1, ...(range && { 'Content-Range': `bytes ${start}-${end}/${size}` }) });
    if (url.searchParams.has('cut')) {
      fs.createReadStream(file, { start, end: start + 1000 }).on('end', () => response.destroy()).pipe(response, { end: false });
    } else {
      fs.createReadStream(file, { start, end }).pipe(response);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    requests,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
