// The microphone as a file: what the browser records, or 16 kHz WAV where the server cannot open such a container.

const RATE = 16000;

/** Start recording. The promise's `stop()` gives { blob, name }. */
export async function record({ takesContainers }) {
  const stream = await microphone();
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.start(1000);
  return {
    stop: () =>
      new Promise((resolve, reject) => {
        recorder.onstop = async () => {
          stream.getTracks().forEach((track) => track.stop());
          const blob = new Blob(parts, { type: recorder.mimeType });
          const ending = blob.type.includes("mp4") ? "m4a" : blob.type.includes("ogg") ? "ogg" : "webm";
          try {
            const asItIs = takesContainers || ending === "ogg";
            resolve(asItIs ? { blob, name: `recording.${ending}` } : { blob: await toWav(blob), name: "recording.wav" });
          } catch {
            reject(new Error("The browser could not read its own recording: try again."));
          }
        };
        recorder.stop();
      }),
  };
}

/** Ask for the microphone. Throws an Error that says what to do. */
export async function microphone() {
  if (!navigator.mediaDevices) throw new Error("This browser gives a page the microphone only on localhost or https.");
  try {
    // What makes a call pleasant takes away what a recogniser listens to.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: true };
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const missing = error.name === "NotFoundError";
    throw new Error(missing ? "There is no microphone: connect one." : "The microphone was refused: allow it for this page.");
  }
}

async function toWav(blob) {
  const context = new OfflineAudioContext(1, 1, RATE); // decoding resamples to its rate
  const audio = await context.decodeAudioData(await blob.arrayBuffer());
  const channels = Array.from({ length: audio.numberOfChannels }, (_, index) => audio.getChannelData(index));
  const view = new DataView(new ArrayBuffer(44 + 2 * audio.length));
  const text = (at, value) => [...value].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * audio.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * audio.length, true);
  for (let i = 0; i < audio.length; i += 1) {
    const mean = channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
    view.setInt16(44 + 2 * i, Math.round(32767 * Math.max(-1, Math.min(1, mean))), true);
  }
  return new Blob([view], { type: "audio/wav" });
}
