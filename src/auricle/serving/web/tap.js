// Runs on the browser's audio thread: hands on what the microphone hears as 16-bit mono, 100 ms at a time.

class Tap extends AudioWorkletProcessor {
  held = new Int16Array(Math.round(sampleRate / 10));
  count = 0;

  process([channels]) {
    if (!channels.length) return true;
    for (let i = 0; i < channels[0].length; i += 1) {
      const mean = channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
      this.held[this.count] = Math.round(32767 * Math.max(-1, Math.min(1, mean)));
      this.count += 1;
      if (this.count === this.held.length) {
        this.port.postMessage(this.held.buffer, [this.held.buffer]);
        this.held = new Int16Array(Math.round(sampleRate / 10));
        this.count = 0;
      }
    }
    return true;
  }
}

registerProcessor("tap", Tap);
