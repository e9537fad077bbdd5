/** Network cards, netdevs and hubs, from what the monitor says about them. */

/** Takes "info network" apart. @returns {import('./slipway.js').NetworkClient[]} */
export function parseInfo(text) {
  const clients = [];
  let hub = '';
  let nic = null;
  for (const line of text.split(/\r?\n/)) {
    const isHub = /^hub (\d+)/.exec(line);
    if (isHub) {
      hub = `hub ${isHub[1]}`;
      continue;
    }
    const client = /^( \\ )?(.*): index=\d+,type=([\w-]+),?(.*)$/.exec(line);
    const stats = /^ {3}link=(\w+),frames=(\d+),bytes=(\d+),.*dropped=(\d+)/.exec(line);
    if (client) {
      const [, below, label, type, details] = client;
      const name = label.split(': ').at(-1);
      if (!below) hub = '';
      clients.push({ name, hub: below && hub ? hub : '', peer: '', type, details });
      if (!below) nic = clients.at(-1);
      else if (!hub && nic) Object.assign(nic, { peer: name }), Object.assign(clients.at(-1), { peer: nic.name });
    } else if (stats) {
      Object.assign(clients.at(-1), { link: stats[1], frames: Number(stats[2]), bytes: Number(stats[3]), dropped: Number(stats[4]) });
    }
  }
  return clients;
}
