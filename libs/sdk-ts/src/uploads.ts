/** Files to the gateway and back: as plain HTTP, which a browser streams and shows the progress of. */

import { Code } from "@connectrpc/connect";
import { fromJson } from "@bufbuild/protobuf";
import { UploadDocumentResponseSchema, type UploadDocumentResponse } from "./gen/semantik/collection/v1/document_service_pb.js";
import { SemantikError, type Reason } from "./errors.js";
import type { Session } from "./session.js";

export interface UploadOptions {
  /** Told how many bytes of how many have left. */
  onProgress?: (sent: number, total: number) => void;
  signal?: AbortSignal;
  /** Makes the upload repeatable: the same id gives the same document. */
  requestId?: string;
}

interface Status {
  code?: number;
  message?: string;
  details?: { reason?: string; metadata?: Record<string, string> }[];
}

export class Uploads {
  constructor(
    private readonly baseUrl: string,
    private readonly session: Session,
  ) {}

  /** Uploads a file under a name, which may have folders in it: `reports/2026/may.pdf`. */
  async upload(collectionId: string, name: string, file: Blob, options: UploadOptions = {}): Promise<UploadDocumentResponse> {
    const token = await this.session.token();
    // Not by URLSearchParams: the gateway takes a plus for a plus.
    const query = `name=${encodeURIComponent(name)}&requestId=${encodeURIComponent(options.requestId ?? crypto.randomUUID())}`;
    const request = new XMLHttpRequest();
    request.open("POST", `${this.baseUrl}/v1/collections/${collectionId}/documents:upload?${query}`);
    request.setRequestHeader("authorization", `Bearer ${token}`);
    request.setRequestHeader("content-type", file.type || "application/octet-stream");
    const { onProgress, signal } = options;
    if (onProgress) request.upload.onprogress = (event) => onProgress(event.loaded, event.total || file.size);
    return new Promise((resolve, reject) => {
      const abort = () => request.abort();
      signal?.addEventListener("abort", abort);
      request.onloadend = () => {
        signal?.removeEventListener("abort", abort);
        if (request.status === 200) resolve(fromJson(UploadDocumentResponseSchema, JSON.parse(request.responseText), { ignoreUnknownFields: true }));
        else reject(failure(request.status, request.responseText, request.getResponseHeader("x-correlation-id") ?? ""));
      };
      request.send(file);
    });
  }

  /** Returns a document's content: its extracted text, or the original bytes. */
  async content(documentId: string, kind: "TEXT" | "ORIGINAL", signal?: AbortSignal): Promise<Blob> {
    const token = await this.session.token();
    const url = `${this.baseUrl}/v1/documents/${documentId}/content?kind=CONTENT_KIND_${kind}`;
    const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, ...(signal && { signal }) });
    if (!response.ok) throw failure(response.status, await response.text(), response.headers.get("x-correlation-id") ?? "");
    return response.blob();
  }
}

function failure(status: number, body: string, correlationId: string): SemantikError {
  if (status === 0) return new SemantikError(Code.Unavailable, "", "the connection was lost");
  let answer: Status;
  try {
    answer = JSON.parse(body) as Status;
  } catch {
    answer = {};
  }
  const info = answer.details?.find((detail) => detail.reason);
  return new SemantikError(
    (answer.code ?? Code.Unknown) as Code,
    (info?.reason ?? "") as Reason,
    answer.message ?? `HTTP status ${status}`,
    info?.metadata ?? {},
    {},
    undefined,
    correlationId,
  );
}
