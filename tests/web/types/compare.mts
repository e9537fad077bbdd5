// Compiled by test_api.mjs beside two copies of the library: documented/ has slipway.d.ts only, written/ only the JavaScript.
import * as documented from './documented/slipway.js';
import * as written from './written/slipway.js';

// What is written can do what is documented; addEventListener is EventTarget's, which doesn't know our events.
type PC = Omit<documented.PC, 'addEventListener' | 'started'>;
export const library: Pick<typeof documented, 'splitCommandLine' | 'joinCommandLine'> = written;
export const create: (options: documented.StartOptions) => PC = written.Slipway.create;
export const start: (options: documented.StartOptions) => Promise<PC> = written.Slipway.start;
export const pc: new (options: documented.StartOptions) => PC = written.PC;
export const terminal: documented.Terminal = null! as written.Terminal;

// As its users write.
export async function use() {
  const { Slipway } = documented;
  const pc = await Slipway.start({ args: ['-m', '64'], files: { disk: new Uint8Array(512) }, fileTransfer: true, on: { state: (state) => state === 'paused' } });
  pc.addEventListener('frame', ({ detail }) => detail.data.byteLength + detail.time);
  pc.addEventListener('network', ({ detail }) => detail.filter(({ link }) => link === 'down'));
  const text: string = await pc.serial()!.expect(/# $/, { timeout: 1000 });
  const state: Blob = await pc.snapshot({ compress: false });
  await pc.restore(await state.arrayBuffer());
  await pc.putFile('/x', text);
  // @ts-expect-error there is no such state
  if (pc.state === 'flying') return;
  // @ts-expect-error
  pc.addEventListener('frame', ({ detail }) => detail.nothing);
  // @ts-expect-error options are checked
  await Slipway.start({ arguments: '' });
  // @ts-expect-error a netdev or a device
  await pc.plug('tape', 'x');
}
