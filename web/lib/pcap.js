/**
 * Captures: the pcap stream of filter-dump (IETF draft-ietf-opsawg-pcap, the byte order of the machine that wrote it: wasm's,
 * little-endian).
 */
const HEADER = 24;
const RECORD = 16;
const MAX_FRAME = 1 << 17;

/** Takes a pcap stream apart: feed() gives the frames that are complete. */
export class PcapReader {
  #rest = new Uint8Array();
  #begun = false;

  /** @returns {{time: number, length: number, data: Uint8Array}[]} - time in seconds since 1970 */
  feed(bytes) {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const view = new DataView(all.buffer);
    const frames = [];
    let at = 0;
    if (!this.#begun && all.length >= HEADER) {
      this.#begun = true;
      at = HEADER;
    }
    while (this.#begun && all.length - at >= RECORD) {
      const kept = view.getUint32(at + 8, true);
      if (kept > MAX_FRAME) throw new Error('the capture is damaged');
      if (all.length - at < RECORD + kept) break;
      frames.push({
        time: view.getUint32(at, true) + view.getUint32(at + 4, true) / 1e6,
        length: view.getUint32(at + 12, true),
        data: all.slice(at + RECORD, at + RECORD + kept),
      });
      at += RECORD + kept;
    }
    this.#rest = all.slice(at);
    return frames;
  }
}

/** A pcap file of these frames (microseconds, Ethernet). */
export function pcapFile(frames) {
  const header = new DataView(new ArrayBuffer(HEADER));
  header.setUint32(0, 0xa1b2c3d4, true);
  header.setUint16(4, 2, true);
  header.setUint16(6, 4, true);
  header.setUint32(16, 65536, true);
  header.setUint32(20, 1, true);
  const parts = [header];
  for (const { time, length, data } of frames) {
    const record = new DataView(new ArrayBuffer(RECORD));
    record.setUint32(0, Math.floor(time), true);
    record.setUint32(4, Math.round((time % 1) * 1e6), true);
    record.setUint32(8, data.length, true);
    record.setUint32(12, length, true);
    parts.push(record, data);
  }
  return new Blob(parts, { type: 'application/vnd.tcpdump.pcap' });
}
