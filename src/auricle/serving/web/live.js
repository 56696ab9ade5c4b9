// Live captions: the microphone's samples go to the server as they come, and what it hears comes back.

import { microphone } from "./record.js";

const RATE = 16000;
const MOST_UNSENT = 1 << 20;

/**
 * Start listening. `onMessage` hears the server's partial and final messages, `onEnd(error)` that it is over, once.
 * The promise's `stop()` ends the sound; what is still recognised comes before `onEnd`.
 */
export async function listen({ key, prompt, plain, onMessage, onEnd }) {
  const stream = await microphone();
  const context = contextFor(stream);
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/v1/audio/stream`, protocols(key));
  let error = null;
  const silence = () => {
    stream.getTracks().forEach((track) => track.stop());
    if (context.state !== "closed") context.close();
  };
  const stop = () => {
    silence();
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "end" }));
    else socket.close();
  };
  const send = ({ data }) => {
    if (socket.readyState !== WebSocket.OPEN || context.state === "closed") return;
    if (socket.bufferedAmount > MOST_UNSENT) {
      error ??= new Error("The server does not keep up: try again when it has less to do.");
      socket.close();
    } else socket.send(data);
  };
  socket.onopen = () => {
    const wish = { ...(prompt ? { prompt } : {}), ...(plain ? { plain } : {}) };
    socket.send(JSON.stringify({ type: "start", format: "pcm", rate: context.sampleRate, ...wish }));
    tap(context, stream, send).catch(() => {
      error ??= new Error("The browser could not open the microphone's sound: load the page again.");
      socket.close();
    });
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "error") error = Object.assign(new Error(message.error.message), { code: message.error.code });
    else onMessage(message);
  };
  socket.onclose = ({ code }) => {
    silence();
    if (code !== 1000) error ??= new Error("The connection to the server broke: is it still running?");
    onEnd(error);
  };
  return { stop };
}

/** The rate that the model hears where the browser resamples for us, and the microphone's own where it does not. */
function contextFor(stream) {
  try {
    const context = new AudioContext({ sampleRate: RATE });
    context.createMediaStreamSource(stream);
    return context;
  } catch {
    return new AudioContext();
  }
}

async function tap(context, stream, send) {
  await context.audioWorklet.addModule("/web/tap.js");
  const node = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0 });
  node.port.onmessage = send;
  context.createMediaStreamSource(stream).connect(node);
  await context.resume();
}

/** A WebSocket has no headers for a page to set: a key goes along as a subprotocol, in base64url. */
function protocols(key) {
  if (!key) return ["auricle"];
  const bytes = String.fromCharCode(...new TextEncoder().encode(key));
  return ["auricle", `auricle-key.${btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}`];
}
