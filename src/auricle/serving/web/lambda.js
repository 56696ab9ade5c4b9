// AWS Lambda's limits, kept from the user: it sleeps, takes 6 MB at a time, and is not waited for longer than 30 s.

import { send, transcribe } from "./api.js";
import { toWav } from "./wav.js";

const LARGEST_DECODED = 64 * 1024 * 1024; // a browser unpacks it whole
const OPENED = /\.(wav|mp3|flac|ogg|oga|opus)$/i; // by the function as it is
const TRIES = 3;
const POLL_MS = 2000;
const BEGINS_MS = 120000; // S3 tells the function within seconds, rarely minutes

/** Let Lambda start an instance while the user chooses a file. Never fails: a request of the user's tells what is wrong. */
export async function wake(say) {
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  const tick = () => say(`The recogniser is waking up … ${seconds()} s`);
  const ticking = setInterval(tick, 1000);
  try {
    for (let left = TRIES; left > 0; left -= 1) {
      try {
        await send("GET", "/ready");
        say("The recogniser is awake.");
        return;
      } catch {
        say("");
      }
    }
  } finally {
    clearInterval(ticking);
  }
}

/** Transcribe a recording of any size; `tell(what, share)` hears what is being done. Throws what can be shown. */
export async function transcribeOnLambda(blob, { name, server, awake, tell, ...options }) {
  tell("Converting");
  const sent = await prepared(blob, name);
  const fits = sent.blob.size <= server.direct_bytes && !(sent.seconds > server.max_seconds);
  const byStorage = server.takes_uploads && server.api; // a page that the function sends may not talk to S3
  if (!fits && !byStorage) throw new Error(`${name} is too large: ${server.direct_bytes / 1e6} MB is the most here.`);
  tell("The recogniser is waking up");
  await awake;
  options.signal.throwIfAborted();
  if (fits) {
    try {
      return await transcribe(sent.blob, { ...options, name: sent.name });
    } catch (error) {
      // The gateway's own limits; a sentence of the function's is final.
      const isGateways = [undefined, 413, 503, 504].includes(error.status) && error.name !== "AbortError";
      if (!byStorage || error.isOurs || !isGateways) throw error;
    }
  }
  return transcribeByStorage(sent, { ...options, tell });
}

/** The recording as WAV, or as it is where that is smaller, or where the browser cannot decode it. */
async function prepared(blob, name) {
  const asItIs = { blob, name };
  if (blob.size > LARGEST_DECODED) return asItIs;
  try {
    const wav = await toWav(blob);
    const isBetter = wav.blob.size < blob.size || !OPENED.test(name);
    return isBetter ? { ...wav, name: `${name.replace(/\.[^.]*$/, "")}.wav` } : { ...asItIs, seconds: wav.seconds };
  } catch {
    return asItIs;
  }
}

async function transcribeByStorage({ blob, name }, { prompt, plain, key, signal, progress, tell }) {
  const wish = { name, size: blob.size, ...(prompt ? { prompt } : {}), ...(plain ? { plain } : {}) };
  const place = await send("POST", "/v1/uploads", { json: wish, key, signal });
  const onTheWay = (share) => share === null || progress(share);
  await send("PUT", place.url, { body: blob, headers: place.headers, signal, progress: onTheWay });
  const put = performance.now();
  for (;;) {
    const found = await send("GET", `/v1/uploads/${place.id}`, { key, signal });
    if (found.status === "completed") return send("GET", found.result.json, { signal });
    if (found.status === "failed") throw new Error(found.error.message);
    if (found.status === "processing") tell("Recognised", found.progress);
    else if (performance.now() - put < BEGINS_MS) tell("It is there, and waits for its turn");
    else throw new Error("Nobody takes the recording up: try again later.");
    await pause(POLL_MS, signal);
  }
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("Cancelled.", "AbortError"));
    });
  });
}
