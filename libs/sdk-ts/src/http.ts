/** One request over HTTP: by XMLHttpRequest where a browser has it, which shows the progress, else by fetch. */

export interface HttpAnswer {
  status: number;
  body: Blob;
  correlationId: string;
}

export interface HttpOptions {
  onProgress?: (sent: number, total: number) => void;
  signal?: AbortSignal;
}

/** Sends a file, or asks for one. Rejects with a TypeError where the connection is lost, as fetch does, and with an AbortError where it is given up. */
export function send(url: string, token: string, file: Blob | undefined, { onProgress, signal }: HttpOptions): Promise<HttpAnswer> {
  if (file && onProgress && typeof XMLHttpRequest !== "undefined") return withProgress(url, token, file, onProgress, signal);
  const type = file && { "content-type": file.type || "application/octet-stream" };
  return fetch(url, {
    method: file ? "POST" : "GET",
    headers: { authorization: `Bearer ${token}`, ...type },
    ...(file && { body: file }),
    ...(signal && { signal }),
  }).then(async (response) => ({
    status: response.status,
    body: await response.blob(),
    correlationId: response.headers.get("x-correlation-id") ?? "",
  }));
}

function withProgress(url: string, token: string, file: Blob, onProgress: (sent: number, total: number) => void, signal?: AbortSignal): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    const aborted = () => reject(new DOMException("the upload was given up", "AbortError"));
    if (signal?.aborted) return aborted();
    request.open("POST", url);
    request.responseType = "blob";
    request.setRequestHeader("authorization", `Bearer ${token}`);
    request.setRequestHeader("content-type", file.type || "application/octet-stream");
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded, event.total || file.size));
    request.addEventListener("load", () =>
      resolve({ status: request.status, body: request.response as Blob, correlationId: request.getResponseHeader("x-correlation-id") ?? "" }),
    );
    request.addEventListener("error", () => reject(new TypeError("the connection was lost")));
    request.addEventListener("abort", aborted);
    request.addEventListener("loadend", () => signal?.removeEventListener("abort", abort));
    signal?.addEventListener("abort", abort);
    request.send(file);
  });
}
