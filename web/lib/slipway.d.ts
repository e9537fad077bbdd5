/** Types of slipway.js; docs/web.md explains. */

export interface Progress {
  /** The file, as the options name it. */
  name: string;
  loaded: number;
  /** Bytes; 0: not known. */
  total: number;
}

export type State = 'starting' | 'running' | 'paused' | 'ended' | 'failed';

export interface QmpEvent {
  event: string;
  data?: Record<string, unknown>;
  timestamp: { seconds: number; microseconds: number };
}

export interface PCEvents {
  state: State;
  /** One that the options put on "vc" or "stdio". */
  terminal: Terminal;
  progress: Progress;
  /** A line of the emulator's own messages. */
  log: string;
  resize: { width: number; height: number };
  qmp: QmpEvent;
  /** After restore(). */
  restored: null;
  pointer: { absolute: boolean };
  /** How far putFile() or getFile() is. */
  transfer: { path: string; direction: 'put' | 'get'; loaded: number; total: number };
  /** After watchNetwork(): something of this has changed. */
  network: NetworkClient[];
  /** A frame of the netdev of startCapture(). */
  frame: Frame;
  /** A piece of the pcap stream of startCapture(). */
  /** The same as a pcap file, in pieces. */
  captured: { capture: string; data: Uint8Array };
  /** The exit status: 0 after power-off. */
  exit: number;
  /** Its message is for people. No other event follows. */
  error: Error;
}

/** A network card or a netdev; counters are of what it took from its peer: the card from the network, the netdev from the guest. */
export interface NetworkClient {
  name: string;
  /** "nic" for a card, or the netdev's kind: "user", "socket", "hubport" ... */
  type: string;
  /** More of it, as the monitor's "info network" has it: "model=e1000,macaddr=52:54:00:12:34:56". */
  details: string;
  /** The hub that it is plugged into: "hub 0"; or else the other end's name; "" if there is none. */
  hub: string;
  peer: string;
  link: 'up' | 'down';
  frames: number;
  bytes: number;
  dropped: number;
}

export interface Frame {
  /** The id of startCapture(). */
  capture: string;
  /** In seconds since 1970. */
  time: number;
  /** Bytes that it has; data may be cut short by maxLength. */
  length: number;
  data: Uint8Array;
}

export interface StartOptions {
  /** The command line: text as in a shell, or words. FILE is a key of `files`, or else an URL. */
  args?: string | string[];
  files?: Record<string, Blob | ArrayBuffer | ArrayBufferView | string>;
  /** What relative URLs of files are relative to; default: the page. */
  baseURL?: string | URL;
  /** For putFile() and getFile(): adds a port of virtio-serial. */
  fileTransfer?: boolean;
  /** Shows the screen; the element must not have been used otherwise. */
  canvas?: HTMLCanvasElement | null;
  on?: { [E in keyof PCEvents]?: (detail: PCEvents[E], pc: PC) => void };
}

export interface TransferOptions {
  /** How long to wait for a guest that doesn't answer yet, in ms; default: 15000. */
  timeout?: number;
}

export class Terminal {
  readonly name: string;
  send(data: string | Uint8Array): void;
  /** The first listener also gets what has come before (at most 256 KB), others if they ask. Returns what ends it. A promise
   * that the listener returns holds the guest back until it is kept. */
  listen(listener: (bytes: Uint8Array) => void | Promise<void>, options?: { history?: boolean }): () => void;
  /** Waits for a pattern; gives the text up to its end. */
  expect(pattern: string | RegExp, options?: { timeout?: number }): Promise<string>;
}

export class PC extends EventTarget {
  readonly state: State;
  readonly started: Promise<PC>;
  readonly terminals: Map<string, Terminal>;
  readonly screenSize: { width: number; height: number };
  constructor(options: StartOptions);

  run(): Promise<void>;
  pause(): Promise<void>;
  reset(): Promise<void>;
  powerDown(): Promise<void>;
  stop(): Promise<void>;
  /** All of its state; compressed by gzip unless that is switched off. The PC runs on. */
  snapshot(options?: { compress?: boolean }): Promise<Blob>;
  /** Goes on from there, in a PC with the same options. If it can't, nothing has changed. */
  restore(state: Blob | ArrayBuffer | ArrayBufferView): Promise<void>;
  /** Files in the guest, which has to run scripts/guest-files ("slipway-files"); needs fileTransfer. Throws what the guest says. */
  putFile(path: string, data: Blob | BufferSource | string, options?: TransferOptions): Promise<void>;
  getFile(path: string, options?: TransferOptions): Promise<Uint8Array>;
  /** As -device and -netdev have it: plug('netdev', 'user,id=n1'), plug('device', 'e1000,netdev=n1,id=card'). */
  plug(kind: 'device' | 'netdev', text: string): Promise<void>;
  /** A device is gone when the guest has let go of it: event qmp, DEVICE_DELETED. */
  unplug(kind: 'device' | 'netdev', id: string): Promise<void>;
  setLink(name: string, up: boolean): Promise<void>;
  network(): Promise<NetworkClient[]>;
  /** Looks every so many ms, by default 1000, and tells in event network what has changed; 0 ends it. */
  watchNetwork(ms?: number): void;
  changeMedium(drive: string, file?: string | Blob | null): Promise<void>;

  /** Throws if the options put that serial port elsewhere. */
  serial(n?: number): Terminal;
  qmp(command: string, args?: object): Promise<any>;
  monitor(line: string): Promise<string>;

  attachCanvas(element: HTMLCanvasElement): void;
  /** Makes the canvas so many times as large as the picture, of equal squares: sharp where CSS shows it at no whole factor. */
  enlargeCanvas(factor: number): void;
  screenshot(): Promise<Blob>;
  screenText(): Promise<string | null>;
  key(code: string, down: boolean): boolean;
  sendKeys(combination: string): Promise<string>;
  type(text: string): Promise<void>;
  /** Does the guest take positions of the pointer (a tablet, vmmouse)? */
  readonly pointerIsAbsolute: boolean;
  pointer(state: { x?: number; y?: number; wheel?: number; buttons?: number; absolute?: boolean }): void;
  releaseKeys(): void;

  instructions(): Promise<number>;
  startCapture(netdev: string, options?: { id?: string; maxLength?: number }): Promise<void>;
  stopCapture(id?: string): Promise<void>;

  addEventListener<E extends keyof PCEvents>(type: E, listener: (event: CustomEvent<PCEvents[E]>) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
}

export const Slipway: {
  create(options: StartOptions): PC;
  start(options: StartOptions): Promise<PC>;
};

export function splitCommandLine(text: string): string[];
export function joinCommandLine(words: string[]): string;
