// Put before Emscripten's code: it expects what CommonJS modules have.
import { createRequire as slipwayCreateRequire } from 'node:module';
import { fileURLToPath as slipwayFileURLToPath } from 'node:url';

const slipwayRequire = slipwayCreateRequire(import.meta.url);
const __filename = slipwayFileURLToPath(import.meta.url);
const __dirname = slipwayRequire('node:path').dirname(__filename);
