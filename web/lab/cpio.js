/** A cpio archive ("newc", Linux's Documentation/driver-api/early-userspace/buffer-format.rst) of files, with their directories. */
const DIRECTORY = 0o40755;
const FILE = 0o100644;

/** @param {{path: string, data: Uint8Array}[]} files - absolute paths. @returns {Uint8Array} in whole sectors */
export function cpio(files) {
  const parts = [];
  let length = 0;
  let inode = 0;
  const push = (bytes, multiple) => {
    parts.push(bytes);
    length += bytes.length;
    const padding = new Uint8Array((multiple - (length % multiple)) % multiple);
    parts.push(padding);
    length += padding.length;
  };
  const entry = (name, mode, data) => {
    const encoded = new TextEncoder().encode(`${name}\0`);
    const fields = [++inode, mode, 0, 0, 1, 0, data.length, 0, 0, 0, 0, encoded.length, 0];
    const header = new TextEncoder().encode(`070701${fields.map((n) => n.toString(16).padStart(8, '0')).join('')}`);
    parts.push(header);
    length += header.length;
    push(encoded, 4);
    push(data, 4);
  };
  const directories = new Set();
  for (const { path } of files) {
    const names = path.slice(1).split('/');
    for (let n = 1; n < names.length; n++) directories.add(names.slice(0, n).join('/'));
  }
  for (const name of directories) entry(name, DIRECTORY, new Uint8Array());
  for (const { path, data } of files) entry(path.slice(1), FILE, data);
  entry('TRAILER!!!', 0, new Uint8Array());
  push(new Uint8Array(), 512);
  const archive = new Uint8Array(length);
  parts.reduce((at, bytes) => (archive.set(bytes, at), at + bytes.length), 0);
  return archive;
}
