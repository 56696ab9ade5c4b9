// The transcript beside the recording: a word that is chosen is heard, a word that is heard is marked.

import { draw, peaksOf } from "./waveform.js";
import { shown } from "./words.js";

const DOUBTED = 0.5; // more likely wrong than right, however many there are
const UNSURE = 0.7;
const SHARE = 0.25; // of the words that are likelier right, the least certain: more marks would tell nothing
const byId = (id) => document.getElementById(id);
let current = { words: [], buttons: [], peaks: null, address: null, duration: 0 };

export async function show(transcript, blob) {
  const audio = byId("audio");
  if (current.address) URL.revokeObjectURL(current.address);
  const words = shown(transcript.words);
  current = { words, buttons: [], peaks: null, address: URL.createObjectURL(blob), duration: transcript.duration };
  audio.src = current.address;
  const unsure = unsureOf(words);
  byId("words").replaceChildren(...buttonsOf(words, unsure));
  byId("legend").hidden = !unsure.size;
  if (!words.length) byId("words").textContent = "No words were heard.";
  facts(transcript);
  byId("wave").hidden = true;
  const mine = current;
  const peaks = await peaksOf(blob);
  if (peaks && mine === current) {
    current.peaks = peaks;
    byId("wave").hidden = false;
    follow();
  }
}

/** The words that are likely to be wrong, and of those that may well be the least certain, a quarter of all at most. */
function unsureOf(words) {
  const sorted = words.toSorted((a, b) => a.confidence - b.confidence);
  const least = new Set(sorted.slice(0, Math.ceil(SHARE * words.length)));
  return new Set(words.filter((word) => word.confidence < (least.has(word) ? UNSURE : DOUBTED)));
}

function buttonsOf(words, unsure) {
  const nodes = [];
  words.forEach((word, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word.text;
    button.tabIndex = index ? -1 : 0;
    button.title = `${word.start.toFixed(2)} s · ${Math.round(word.confidence * 100)} % sure`;
    if (unsure.has(word)) {
      button.classList.add("unsure");
      const note = document.createElement("span");
      note.className = "sr-only";
      note.textContent = " (uncertain)";
      button.append(note);
    }
    button.addEventListener("click", () => hear(word));
    current.buttons.push(button);
    nodes.push(button, " ");
  });
  return nodes;
}

function hear(word) {
  const audio = byId("audio");
  audio.currentTime = word.start;
  audio.play().catch(() => {}); // a format that the browser cannot play: the player says so
}

function facts(transcript) {
  const { codec, rate, channels, duration } = transcript.source;
  const rows = [
    ["Format", codec],
    ["Rate", `${rate.toLocaleString("en")} Hz`],
    ["Channels", String(channels)],
    ["Length", `${duration.toFixed(1)} s`],
    ["Model", transcript.model],
  ];
  byId("heard").replaceChildren(
    ...rows.map(([name, value]) => {
      const pair = document.createElement("div");
      const term = document.createElement("dt");
      const detail = document.createElement("dd");
      term.textContent = name;
      detail.textContent = value;
      pair.append(term, detail);
      return pair;
    }),
  );
}

function follow() {
  const time = byId("audio").currentTime;
  current.words.forEach((word, index) => {
    current.buttons[index].classList.toggle("now", time >= word.start - 0.01 && time < word.end && time > 0);
  });
  if (current.peaks && !byId("wave").hidden) draw(byId("wave"), current.peaks, time / (current.duration || 1));
}

function move(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const at = current.buttons.indexOf(document.activeElement);
  if (!step || at < 0) return;
  const next = current.buttons[at + step];
  if (!next) return;
  event.preventDefault();
  document.activeElement.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

export function install() {
  const audio = byId("audio");
  const run = () => {
    follow();
    if (!audio.paused && !audio.ended) requestAnimationFrame(run);
  };
  audio.addEventListener("play", run);
  audio.addEventListener("seeked", follow);
  audio.addEventListener("timeupdate", follow);
  byId("words").addEventListener("keydown", move);
  byId("wave").addEventListener("click", (event) => {
    audio.currentTime = (event.offsetX / event.target.clientWidth) * current.duration;
  });
  window.addEventListener("resize", follow);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow);
}
