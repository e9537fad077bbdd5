/**
 * Slipway in a web page: a PC of your own.
 *
 *   import { Slipway } from './slipway.js';
 *   const pc = await Slipway.start({ args: '-m 256 -kernel vmlinuz -initrd initrd.gz -append console=ttyS0' });
 *   await pc.serial().expect('# ');
 *   pc.serial().send('uname -a\n');
 *
 * docs/web.md is the reference, slipway.d.ts has the types.
 */
import { PC } from './pc.js';

export { PC } from './pc.js';
export { Terminal } from './terminal.js';
export { joinCommandLine, splitCommandLine } from './commandline.js';

export const Slipway = {
  /** A PC that is on its way: its events can be listened to, and `started` tells when it runs. */
  create: (options) => new PC(options),

  /** A PC that runs. Throws an Error with one message for people if it can't. */
  start: (options) => new PC(options).started,
};
