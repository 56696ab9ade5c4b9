// The recording as a picture: peaks of what the browser decodes, what was played in the accent's colour.

const LARGEST = 64 * 1024 * 1024;
const COLUMNS = 600;

/** Return the peaks of a file, or null when the browser cannot decode it. */
export async function peaksOf(blob) {
  if (blob.size > LARGEST) return null;
  try {
    const context = new OfflineAudioContext(1, 1, 8000);
    const samples = (await context.decodeAudioData(await blob.arrayBuffer())).getChannelData(0);
    const step = Math.max(1, Math.floor(samples.length / COLUMNS));
    const peaks = [];
    for (let start = 0; start < samples.length; start += step) {
      let peak = 0;
      for (let i = start; i < Math.min(start + step, samples.length); i += 1) peak = Math.max(peak, Math.abs(samples[i]));
      peaks.push(peak);
    }
    const loudest = Math.max(...peaks, 1e-3);
    return peaks.map((peak) => peak / loudest);
  } catch {
    return null;
  }
}

/** Draw peaks into a canvas; `played` is the share of the recording that has been heard. */
export function draw(canvas, peaks, played) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const style = getComputedStyle(canvas);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const step = width / peaks.length;
  peaks.forEach((peak, index) => {
    const name = index / peaks.length < played ? "--accent" : "--wave";
    pen.fillStyle = style.getPropertyValue(name);
    const size = Math.max(1, peak * (height - 4));
    pen.fillRect(index * step, (height - size) / 2, Math.max(0.6, step * 0.7), size);
  });
}
