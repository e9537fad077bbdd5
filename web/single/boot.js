/** What embed-single.html runs first: unpacks its files and starts embed.js. See pack.mjs. */
(async () => {
  const packed = document.getElementById('files');
  const response = await fetch(`data:application/gzip;base64,${packed.textContent}`);
  packed.remove();
  const bytes = new Uint8Array(await new Response(response.body.pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());
  const head = bytes.indexOf(10);
  const text = (part) => new TextDecoder().decode(part);
  const index = JSON.parse(text(bytes.subarray(0, head)));
  const contents = (name) => bytes.subarray(head + 1 + index[name][0], head + 1 + index[name][0] + index[name][1]);

  const TYPES = { js: 'text/javascript', mjs: 'text/javascript', css: 'text/css', md: 'text/plain', wasm: 'application/wasm' };
  const urlOf = async (name, data) => new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(new Blob([data], { type: TYPES[name.replace(/.*\./, '')] ?? 'application/octet-stream' }));
  });
  // Workers are started by URLs of 2 MB at most: what they need beside their code, their first message brings.
  const find = `
let files;
addEventListener('message', ({ data }) => {
  if (data.type === 'files') ({ files } = data);
});
globalThis.slipwayFile = (name) => new URL(typeof files[name] === 'string' ? files[name] : URL.createObjectURL(files[name]));`;
  const urls = {};
  for (const name of Object.keys(index)) {
    if (name === 'worker.js') urls[name] = await urlOf(name, `${text(contents(name))}\n${find}`);
    else if (name !== 'core.wasm') urls[name] = await urlOf(name, contents(name));
  }
  const files = Object.fromEntries(Object.entries(urls).filter(([name]) => name.startsWith('share/')));
  files['core.wasm'] = new Blob([contents('core.wasm')], { type: TYPES.wasm });
  globalThis.Worker = class extends Worker {
    constructor(...all) {
      super(...all);
      this.postMessage({ type: 'files', files });
    }
  };
  globalThis.slipwayFile = (name) => new URL(urls[name.replace('./', '')]);

  const add = (type, textContent) => document.head.append(Object.assign(document.createElement('script'), { type, textContent }));
  const modules = Object.keys(urls).filter((name) => /\.m?js$/.test(name));
  add('importmap', JSON.stringify({ imports: Object.fromEntries(modules.map((name) => [`slipway/${name}`, urls[name]])) }));
  add('module', 'import "slipway/embed.js";');
})().catch((e) => {
  document.getElementById('trouble').textContent = `This PC can't be unpacked: ${e.message}. A current browser is needed.`;
});
