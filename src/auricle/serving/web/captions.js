// A transcript as a file. Captions are cut as `auricle.formats` cuts them, a little more simply: at pauses and at length.

const MOST_CHARACTERS = 84;
const PAUSE_SECONDS = 0.5;
const LINE = 42;

export function saved(kind, transcript) {
  if (kind === "txt") return `${transcript.text}\n`;
  const mark = kind === "srt" ? "," : ".";
  const blocks = cues(transcript.words).map((cue, index) => {
    const times = `${clock(cue.start, mark)} --> ${clock(cue.end, mark)}`;
    const lines = broken(cue.words.map((word) => word.word).join(" "));
    return `${kind === "srt" ? `${index + 1}\n` : ""}${times}\n${lines}\n`;
  });
  return (kind === "vtt" ? ["WEBVTT\n", ...blocks] : blocks).join("\n");
}

function cues(words) {
  const found = [];
  for (const word of words) {
    const last = found.at(-1);
    const length = last ? last.length + 1 + word.word.length : Infinity;
    if (last && length <= MOST_CHARACTERS && word.start - last.end <= PAUSE_SECONDS) {
      last.words.push(word);
      last.length = length;
      last.end = word.end;
    } else {
      found.push({ words: [word], length: word.word.length, start: word.start, end: word.end });
    }
  }
  return found;
}

function broken(text) {
  if (text.length <= LINE) return text;
  const middle = text.length / 2;
  const spaces = [...text.matchAll(/ /g)].map((match) => match.index);
  if (!spaces.length) return text;
  const best = spaces.reduce((a, b) => (Math.abs(b - middle) < Math.abs(a - middle) ? b : a));
  return `${text.slice(0, best)}\n${text.slice(best + 1)}`;
}

function clock(seconds, mark) {
  const ms = Math.round(seconds * 1000);
  const part = (value, width) => String(Math.floor(value)).padStart(width, "0");
  return `${part(ms / 3600000, 2)}:${part((ms / 60000) % 60, 2)}:${part((ms / 1000) % 60, 2)}${mark}${part(ms % 1000, 3)}`;
}
