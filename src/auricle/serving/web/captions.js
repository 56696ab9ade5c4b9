// A transcript as a file. Captions are cut as `auricle.formats` cuts them, a little more simply: at pauses, at the ends
// of sentences once there is a line's worth, and where two lines are full.

import { shown } from "./words.js";

const PAUSE_SECONDS = 0.5;
const LINE = 42;
const WEAK = new Set(
  ("a an the my your his her its our their no every of to in on at by for from with into as about after before between " +
    "against under over through upon without than and or but nor if mr. mrs. dr. st.").split(" "),
); // what does not end a line where something else can

export function saved(kind, transcript) {
  if (kind === "txt") return `${transcript.text}\n`;
  const mark = kind === "srt" ? "," : ".";
  const blocks = cues(shown(transcript.words)).map((cue, index) => {
    const times = `${clock(cue[0].start, mark)} --> ${clock(cue.at(-1).end, mark)}`;
    return `${kind === "srt" ? `${index + 1}\n` : ""}${times}\n${broken(cue)}\n`;
  });
  return (kind === "vtt" ? ["WEBVTT\n", ...blocks] : blocks).join("\n");
}

function cues(words) {
  const found = [];
  for (const word of words) {
    const cue = found.at(-1);
    const last = cue?.at(-1);
    const isFull = cue && (text(cue).length >= LINE && /[.?!]$/.test(last.text) || broken([...cue, word]) === null);
    if (cue && !isFull && word.start - last.end <= PAUSE_SECONDS) cue.push(word);
    else found.push([word]);
  }
  return found;
}

/** One line, or the two most even ones that read well; nothing where two are too few. */
function broken(words) {
  if (words.length === 1 || text(words).length <= LINE) return text(words);
  let best = null;
  for (let at = 1; at < words.length; at += 1) {
    const [upper, lower] = [text(words.slice(0, at)), text(words.slice(at))];
    if (Math.max(upper.length, lower.length) > LINE && words.length > 2) continue;
    const cost = Math.abs(upper.length - lower.length) + (WEAK.has(words[at - 1].text.toLowerCase()) ? 2 * LINE : 0);
    if (!best || cost < best.cost) best = { cost, lines: `${upper}\n${lower}` };
  }
  return best && best.lines;
}

function text(words) {
  return words.map((word) => word.text).join(" ");
}

function clock(seconds, mark) {
  const ms = Math.round(seconds * 1000);
  const part = (value, width) => String(Math.floor(value)).padStart(width, "0");
  return `${part(ms / 3600000, 2)}:${part((ms / 60000) % 60, 2)}:${part((ms / 1000) % 60, 2)}${mark}${part(ms % 1000, 3)}`;
}
