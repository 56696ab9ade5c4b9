// What the page asks of the server. XMLHttpRequest, because fetch does not tell how much of an upload has left.

export async function config() {
  const answer = await fetch("/config.json");
  if (!answer.ok) throw new Error("The server does not answer: load the page again.");
  return answer.json();
}

/** Transcribe a file. `progress` is called with the share that was sent, and then with null until the answer is there. */
export function transcribe(file, { name, prompt, key, signal, progress }) {
  const form = new FormData();
  form.append("model", "auricle");
  form.append("response_format", "verbose_json");
  form.append("timestamp_granularities[]", "word");
  form.append("timestamp_granularities[]", "segment");
  if (prompt) form.append("prompt", prompt);
  form.append("file", file, name);
  return send("POST", "/v1/audio/transcriptions", { form, key, signal, progress });
}

/** Send a request and return what its JSON holds. Throws an Error with the server's own sentence. */
export function send(method, path, { form, key, signal, progress } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.responseType = "json";
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    if (progress) {
      request.upload.onprogress = (event) => progress(event.lengthComputable ? event.loaded / event.total : null);
      request.upload.onload = () => progress(null);
    }
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) return resolve(request.response);
      const error = new Error(request.response?.error?.message ?? `The server answered ${request.status}.`);
      error.status = request.status;
      return reject(error);
    };
    request.onerror = () => reject(new Error("The server cannot be reached: is it still running?"));
    request.onabort = () => reject(new DOMException("Cancelled.", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form ?? null);
  });
}
