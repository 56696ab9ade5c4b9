// What the page asks of the server. XMLHttpRequest, because fetch does not tell how much of an upload has left.

let base = ""; // where the API is, when another host sends the page

export async function config() {
  const answer = await fetch("/config.json");
  if (!answer.ok) throw new Error("The server does not answer: load the page again.");
  const facts = await answer.json();
  base = facts.api ?? "";
  return facts;
}

/** Transcribe a file. `progress` is called with the share that was sent, and then with null until the answer is there. */
export function transcribe(file, { name, prompt, plain, key, signal, progress }) {
  const form = new FormData();
  form.append("model", "auricle");
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  if (prompt) form.append("prompt", prompt);
  if (plain) form.append("plain", "true");
  form.append("file", file, name);
  return send("POST", "/v1/audio/transcriptions", { body: form, key, signal, progress });
}

/**
 * Send a request and return what its JSON holds. Throws an Error with the server's own sentence, and its status.
 * `body` is a form or a file, `json` plain values; `path` is one of the API's, or a whole address elsewhere.
 */
export function send(method, path, { body, json, headers, key, signal, progress } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path.startsWith("/") ? base + path : path);
    request.responseType = "json";
    if (json) request.setRequestHeader("Content-Type", "application/json");
    for (const [name, value] of Object.entries(headers ?? {})) request.setRequestHeader(name, value);
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    if (progress) {
      request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : null);
      request.upload.onload = () => progress(null);
    }
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return resolve(request.response);
      const error = new Error(request.response?.error?.message ?? `The server answered ${request.status}.`);
      error.status = request.status;
      error.isOurs = Boolean(request.response?.error?.message);
      return reject(error);
    };
    request.onerror = () => reject(new Error("The server cannot be reached: is it still running?"));
    request.onabort = () => reject(new DOMException("Cancelled.", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(json ? JSON.stringify(json) : (body ?? null));
  });
}
