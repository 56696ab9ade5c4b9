// The microphone as a file: what the browser records, or 16 kHz WAV where the server cannot open such a container.

import { toWav } from "./wav.js";

/** Start recording. The promise's `stop(takesContainers)`, of a server's promised answer, gives { blob, name }. */
export async function record() {
  const stream = await microphone();
  const recorder = new MediaRecorder(stream);
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.start(1000);
  return {
    stop: (takesContainers) =>
      new Promise((resolve, reject) => {
        recorder.onstop = async () => {
          stream.getTracks().forEach((track) => track.stop());
          const blob = new Blob(parts, { type: recorder.mimeType });
          const ending = blob.type.includes("mp4") ? "m4a" : blob.type.includes("ogg") ? "ogg" : "webm";
          try {
            const asItIs = ending === "ogg" || (await takesContainers);
            resolve(asItIs ? { blob, name: `recording.${ending}` } : { ...(await toWav(blob)), name: "recording.wav" });
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
