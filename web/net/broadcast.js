/**
 * BroadcastChannels of the wasm platform, in a browser and under Node; core/host/broadcast.js connects them with the C side.
 * Put before Emscripten's code as it is.
 *
 * Any script of the same origin may send into a channel: what isn't bytes, or too much of them, is ignored here, what they
 * mean is C's to check.
 */
class SlipwayBroadcasts {
  channels = [null];

  /** @returns {number}; 0: there are none here */
  open(name, messageMax, received) {
    let channel;
    try {
      channel = new BroadcastChannel(`slipway:${name}`);
    } catch {
      return 0; // a document without an origin
    }
    let number = this.channels.indexOf(null, 1);
    if (number < 0) number = this.channels.length;
    this.channels[number] = channel;
    channel.onmessage = ({ data }) => {
      if (data instanceof Uint8Array && data.length && data.length <= messageMax && this.channels[number] === channel) received(data);
    };
    return number;
  }

  send(number, heap, pointer, length) {
    this.channels[number].postMessage(heap.slice(pointer, pointer + length));
  }

  close(number) {
    this.channels[number].onmessage = null;
    this.channels[number].close();
    this.channels[number] = null;
  }
}

const slipwayBroadcasts = new SlipwayBroadcasts();
