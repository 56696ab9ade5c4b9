// The page at /: one recording at a time, from choosing it to reading it.

import { config, transcribe } from "./api.js";
import { saved } from "./captions.js";
import { transcribeOnLambda, wake } from "./lambda.js";
import { listen } from "./live.js";
import { install, show } from "./player.js";
import { record } from "./record.js";

const byId = (id) => document.getElementById(id);
let server = { needs_key: false, takes_containers: false };
let chosen = null; // { blob, name }
let transcript = null;
let recording = null;
let live = null; // { stop }, or a promise of it, while live captions run
let busy = null; // the AbortController of what is under way
let awake = null; // a promise: AWS Lambda has an instance that answers
let ready = null; // a promise: `server` is what this server says of itself, or the page has said that it cannot be had

function say(text) {
  byId("status").textContent = text;
}

function complain(error) {
  byId("error").hidden = !error;
  byId("error").textContent = error ? error.message : "";
}

function choose(blob, name) {
  chosen = { blob, name };
  byId("chosen").textContent = name;
  complain(null);
  say(`${name} (${size(blob.size)}) is ready: submit it.`);
  refresh();
}

function size(bytes) {
  return bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function refresh() {
  byId("submit").disabled = !chosen || Boolean(busy || recording || live);
  byId("record").disabled = Boolean(busy || live);
  byId("live").disabled = Boolean(busy || recording);
  byId("file").disabled = Boolean(busy || recording || live);
  byId("cancel").hidden = !busy;
}

function wishes() {
  return { prompt: byId("prompt").value, plain: byId("plain").checked };
}

async function submit(event) {
  event.preventDefault();
  if (!chosen || busy) return;
  const { blob, name } = chosen;
  busy = new AbortController();
  complain(null);
  refresh();
  const bar = byId("progress");
  bar.hidden = false;
  const started = performance.now();
  let ticking = null;
  try {
    // What is done now, and the share of it that is done, where that is known; else the seconds that it has taken.
    const tell = (what, share = null) => {
      clearInterval(ticking);
      if (share !== null) {
        bar.value = share;
        say(`${what}: ${Math.round(share * 100)} %`);
      } else {
        bar.removeAttribute("value");
        const tick = () => say(`${what} … ${Math.round((performance.now() - started) / 1000)} s`);
        tick();
        ticking = setInterval(tick, 1000);
      }
    };
    const progress = (share) => (share === null ? tell("Recognising") : tell(`Sending ${name}`, share));
    await ready;
    const options = { name, ...wishes(), key: byId("key").value, signal: busy.signal, progress, tell };
    if (server.mode === "lambda") {
      transcript = await transcribeOnLambda(blob, { ...options, server, awake });
    } else {
      if (blob.size > server.max_bytes) throw new Error(`${name} is too large: ${size(server.max_bytes)} is the most.`);
      transcript = await transcribe(blob, options);
    }
    byId("result").hidden = false;
    show(transcript, blob);
    say(`${transcript.words.length} words in ${((performance.now() - started) / 1000).toFixed(1)} s.`);
    byId("result-title").focus();
  } catch (error) {
    say("");
    if (error.status === 401) askForKey();
    if (error.name === "AbortError") say("Cancelled.");
    else complain(error);
  } finally {
    clearInterval(ticking);
    bar.hidden = true;
    busy = null;
    refresh();
  }
}

async function toggleRecording() {
  const button = byId("record");
  complain(null);
  try {
    if (recording) {
      const { stop } = recording;
      clearInterval(recording.ticking);
      recording = null;
      const { blob, name } = await stop(ready.then(() => server.takes_containers));
      choose(blob, name);
    } else {
      const started = await record();
      const since = performance.now();
      const tick = () => say(`Recording … ${Math.round((performance.now() - since) / 1000)} s`);
      recording = { ...started, ticking: setInterval(tick, 1000) };
      tick();
    }
  } catch (error) {
    recording = null;
    say("");
    complain(error);
  }
  button.setAttribute("aria-pressed", String(Boolean(recording)));
  button.textContent = recording ? "Stop recording" : "Record";
  refresh();
}

async function toggleLive() {
  if (live) {
    byId("live").disabled = true; // until the server has said the rest
    say("Hearing the rest …");
    (await live)?.stop();
    return;
  }
  complain(null);
  byId("captions").hidden = false;
  byId("fixed").replaceChildren();
  caption({ type: "partial", text: "" });
  say("Listening …");
  live = listen({ key: byId("key").value, ...wishes(), onMessage: caption, onEnd: endLive });
  showLive();
  try {
    await live;
  } catch (error) {
    endLive(error);
  }
}

function caption(message) {
  if (message.type === "final" && message.text) {
    const line = document.createElement("span"); // an element of its own, so that a screen reader reads it once
    line.textContent = `${message.text} `;
    byId("fixed").append(line);
  }
  if (message.type !== "done") byId("growing").textContent = message.type === "partial" ? message.text : "";
  const lines = byId("lines");
  lines.scrollTop = lines.scrollHeight;
}

function endLive(error) {
  live = null;
  byId("growing").textContent = "";
  say(error ? "" : "Live captions have ended.");
  complain(error);
  if (error?.code === "invalid_api_key") askForKey();
  showLive();
}

function showLive() {
  byId("live").setAttribute("aria-pressed", String(Boolean(live)));
  byId("live").textContent = live ? "Stop captions" : "Live captions";
  refresh();
}

function askForKey() {
  byId("key-field").hidden = false;
  byId("more").open = true;
  byId("key").focus();
}

async function copy() {
  try {
    await navigator.clipboard.writeText(transcript.text);
    say("Copied.");
  } catch {
    complain(new Error("The browser did not allow copying: select the text instead."));
  }
}

function save(kind) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([saved(kind, transcript)], { type: "text/plain" }));
  link.download = `${(chosen?.name ?? "transcript").replace(/\.[^.]*$/, "")}.${kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Ask the server what it is, and show what follows from that. */
async function meet() {
  try {
    server = await config();
    byId("key-field").hidden = !server.needs_key;
    if (server.needs_key) byId("more").open = true; // never closed: it may have been opened by now
    byId("live").hidden = !server.takes_streams;
    if (server.mode === "lambda") {
      byId("lead").textContent =
        "What you give is recognised by a function on AWS Lambda. A large recording waits in S3 until that is done.";
      awake = wake((text) => busy || chosen || recording || say(text));
    }
  } catch (error) {
    complain(error);
  }
}

function dropping() {
  const zone = byId("drop");
  const over = (event) => {
    event.preventDefault();
    zone.classList.toggle("over", event.type === "dragover");
  };
  ["dragover", "dragleave", "drop"].forEach((name) => zone.addEventListener(name, over));
  zone.addEventListener("drop", (event) => {
    const [file] = event.dataTransfer.files;
    if (file && !busy && !recording && !live) choose(file, file.name);
  });
}

byId("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) choose(file, file.name);
});
byId("form").addEventListener("submit", submit);
byId("cancel").addEventListener("click", () => busy?.abort());
byId("record").addEventListener("click", toggleRecording);
byId("live").addEventListener("click", toggleLive);
byId("copy").addEventListener("click", copy);
document.querySelectorAll("[data-save]").forEach((button) => button.addEventListener("click", () => save(button.dataset.save)));
dropping();
install();
ready = meet();
