// Put before Emscripten's code: the names by which core/host/node.js and net/user/node.js know the platform.
import { slipwayHost, slipwayDatagrams } from './host.js';
import { slipwaySockets } from './sockets.js';

