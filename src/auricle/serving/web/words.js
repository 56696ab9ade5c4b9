// What is read of recognised words: "$25" stands for several of them, and lasts as long as they do.

/** Words as { text, start, end, confidence }, in order; each of the server's has `written`, unless it is plain. */
export function shown(words) {
  const found = [];
  for (const { word, written, start, end, confidence } of words) {
    const last = found.at(-1);
    if (written === "" && last) {
      last.end = Math.max(last.end, end);
      last.confidence = Math.min(last.confidence, confidence);
    } else found.push({ text: written ?? word, start, end, confidence });
  }
  return found;
}
