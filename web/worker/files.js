/**
 * The files that a PC is started with: what the options call FILE is a name that the page gave a File or bytes to, or else an
 * URL, relative to the page.
 *
 * Kernels, initial RAM disks and firmware are downloaded as a whole (download()), unpacked if gzip has packed them. Disks are read in pieces (RemoteFile): by
 * HTTP Range requests, or slices of the user's file. A server that knows no ranges sends all of the image at once.
 */
const CHUNK = 256 * 1024;
const MAX_CHUNKS = 256; // of one file in memory
const RETRY_MS = [500, 2000, 5000];
const PROGRESS_MS = 100;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** An error whose message is for the user. */
function unreachable(name, url, response) {
  if (response) return new Error(`${name}: ${response.status} ${response.statusText} (${url})`.replace('  ', ' '));
  return new Error(`${name}: can't be fetched from ${url}: the server can't be reached, or it doesn't let this page read the file (CORS)`);
}

/** fetch() that throws errors for the user. */
export async function get(name, url, init) {
  const response = await fetch(url, init).catch(() => {
    throw unreachable(name, url);
  });
  if (!response.ok) throw unreachable(name, url, response);
  return response;
}

/** The same response; @progress(loaded, total) hears of its bytes, total 0: not known. */
export function watched(response, progress) {
  // The length is that of the compressed bytes, which JavaScript doesn't see.
  const total = response.headers.get('Content-Encoding') ? 0 : Number(response.headers.get('Content-Length') ?? 0);
  let loaded = 0;
  let told = 0;
  const count = new TransformStream({
    transform(chunk, controller) {
      loaded += chunk.length;
      if (performance.now() - told > PROGRESS_MS) {
        told = performance.now();
        progress(loaded, total);
      }
      controller.enqueue(chunk);
    },
    flush() {
      progress(loaded, loaded);
    },
  });
  return new Response(response.body.pipeThrough(count), { headers: response.headers });
}

/** All of a file; what gzip has packed is unpacked here, as it comes in, many times as fast as by a guest. @returns {Promise<Uint8Array>} */
export async function download(name, source, progress) {
  const response = source instanceof Blob ? new Response(source) : await get(name, source);
  const reader = watched(response, (loaded, total) => progress(name, loaded, total)).body.getReader();
  const next = () => reader.read().catch(() => {
    throw new Error(`${name}: the download broke off (${source})`);
  });
  const first = await next();
  const bytes = new ReadableStream({
    start(controller) {
      if (first.done) controller.close();
      else controller.enqueue(first.value);
    },
    async pull(controller) {
      const { done, value } = await next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
  const packed = first.value?.[0] === 0x1f && first.value[1] === 0x8b;
  const whole = new Response(packed ? bytes.pipeThrough(new DecompressionStream('gzip')) : bytes);
  return new Uint8Array(await whole.arrayBuffer().catch((e) => {
    throw e instanceof TypeError ? new Error(`${name}: the gzip file is damaged or cut off`) : e;
  }));
}

/** A file that is read in chunks, with those lately used kept, and the next one fetched ahead of a sequential reader. */
export class RemoteFile {
  chunks = new Map(); // index -> Uint8Array, in order of use
  coming = new Map(); // index -> Promise
  reads = new Set(); // that are out
  last = -1;
  closed = false;

  /** @progress(name, bytes, 0) and @failed(message) hear of reads. @returns {Promise<RemoteFile>} once its size is known */
  static async open(name, source, progress, failed) {
    const file = new RemoteFile();
    Object.assign(file, { name, source, progress, failed, loaded: 0 });
    if (source instanceof Blob) {
      file.size = source.size;
      return file;
    }
    const response = await get(name, source, { headers: { Range: `bytes=0-${CHUNK - 1}` } });
    if (response.status === 206) {
      file.size = Number(/\/(\d+)$/.exec(response.headers.get('Content-Range') ?? '')?.[1]) || (await RemoteFile.length(name, source));
      file.keep(0, new Uint8Array(await response.arrayBuffer()));
    } else {
      const whole = watched(response, (loaded, total) => progress(name, loaded, total));
      file.source = await whole.blob().catch(() => {
        throw new Error(`${name}: the download broke off (${source})`);
      });
      file.size = file.source.size;
    }
    return file;
  }

  /** For a server on another origin that doesn't expose Content-Range. */
  static async length(name, url) {
    const size = Number((await get(name, url, { method: 'HEAD' })).headers.get('Content-Length'));
    if (!size) throw new Error(`${name}: the server doesn't tell its size (${url})`);
    return size;
  }

  keep(index, data) {
    this.chunks.delete(index);
    this.chunks.set(index, data);
    if (this.chunks.size > MAX_CHUNKS) this.chunks.delete(this.chunks.keys().next().value);
  }

  range(index) {
    return [index * CHUNK, Math.min((index + 1) * CHUNK, this.size)];
  }

  check(index, data) {
    const [start, end] = this.range(index);
    if (data.length !== end - start) throw new Error(`${this.name}: the file has changed or is cut off`);
    return data;
  }

  async fetchChunk(index) {
    const [start, end] = this.range(index);
    if (this.source instanceof Blob) return new Uint8Array(await this.source.slice(start, end).arrayBuffer());
    for (const ms of [...RETRY_MS, 0]) {
      try {
        const response = await get(this.name, this.source, { headers: { Range: `bytes=${start}-${end - 1}` } });
        return this.check(index, new Uint8Array(await response.arrayBuffer()));
      } catch (e) {
        if (!ms || this.closed) throw e;
        await pause(ms);
      }
    }
  }

  chunk(index) {
    let coming = this.coming.get(index);
    if (!coming) {
      coming = this.fetchChunk(index).then((data) => {
        this.keep(index, data);
        this.loaded += data.length;
        this.progress(this.name, this.loaded, 0);
      }).finally(() => this.coming.delete(index));
      coming.catch(() => {}); // read() tells
      this.coming.set(index, coming);
    }
    return coming;
  }

  /** Copies what is there; false: something is missing. */
  copy({ offset, length, copy, first, last }) {
    for (let i = first; i <= last; i++) if (!this.chunks.has(i)) return false;
    for (let i = first; i <= last; i++) {
      const [start] = this.range(i);
      const data = this.chunks.get(i);
      this.keep(i, data);
      const part = data.subarray(Math.max(0, offset - start), offset + length - start);
      copy(part, Math.max(0, start - offset));
    }
    return true;
  }

  /** True: done at once; false: @done(ok) follows, unless it is closed before. */
  read(offset, length, copy, done) {
    const read = { offset, length, copy, done, first: Math.floor(offset / CHUNK), last: Math.floor((offset + length - 1) / CHUNK) };
    const sequential = read.first === this.last || read.first === this.last + 1;
    this.last = read.last;
    if (sequential && (read.last + 1) * CHUNK < this.size && !this.chunks.has(read.last + 1)) this.chunk(read.last + 1);
    if (!length || this.copy(read)) return true;
    this.reads.add(read);
    this.complete(read);
    return false;
  }

  async complete(read) {
    let ok = true;
    try {
      do { // again if a chunk was dropped before the last one came
        for (let i = read.first; i <= read.last; i++) if (!this.chunks.has(i)) this.chunk(i);
        await Promise.all([...this.coming].filter(([i]) => i >= read.first && i <= read.last).map(([, coming]) => coming));
      } while (this.reads.has(read) && !this.closed && !this.copy(read));
    } catch (e) {
      ok = false;
      this.failed(e.message);
    }
    if (!this.closed && this.reads.delete(read)) read.done(ok);
  }

  /** Finishes all reads that are out before it returns. */
  wait() {
    for (const read of [...this.reads]) {
      let ok = true;
      try {
        for (let i = read.first; i <= read.last; i++) if (!this.chunks.has(i)) this.keep(i, this.fetchChunkNow(i));
        ok = this.copy(read);
      } catch (e) {
        ok = false;
        this.failed(e.message);
      }
      this.reads.delete(read);
      read.done(ok);
    }
  }

  fetchChunkNow(index) {
    const [start, end] = this.range(index);
    if (this.source instanceof Blob) return new Uint8Array(new FileReaderSync().readAsArrayBuffer(this.source.slice(start, end)));
    const request = new XMLHttpRequest();
    request.open('GET', this.source, false);
    request.responseType = 'arraybuffer';
    request.setRequestHeader('Range', `bytes=${start}-${end - 1}`);
    request.send();
    return this.check(index, new Uint8Array(request.response));
  }

  close() {
    this.closed = true;
    this.reads.clear();
  }
}
