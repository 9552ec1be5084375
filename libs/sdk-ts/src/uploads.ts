/** Files to the gateway and back: as plain HTTP, which a browser streams. */

import { Code } from "@connectrpc/connect";
import { fromJsonString } from "@bufbuild/protobuf";
import { UploadDocumentResponseSchema, type UploadDocumentResponse } from "./gen/semantik/collection/v1/document_service_pb.js";
import { known, SemantikError, semantikError } from "./errors.js";
import { send, type HttpAnswer } from "./http.js";
import type { Session } from "./session.js";

export interface UploadOptions {
  /** Called with how many bytes of how many have left; by browsers alone. */
  onProgress?: (sent: number, total: number) => void;
  signal?: AbortSignal;
  /** Makes the upload repeatable: the same id gives the same document. */
  requestId?: string;
}

interface Status {
  code?: Code;
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
    // Not by URLSearchParams: the gateway takes a plus for a plus.
    const query = `name=${encodeURIComponent(name)}&requestId=${encodeURIComponent(options.requestId ?? crypto.randomUUID())}`;
    const url = `${this.baseUrl}/v1/collections/${encodeURIComponent(collectionId)}/documents:upload?${query}`;
    const answer = await this.#send((token) => send(url, token, file, options));
    return fromJsonString(UploadDocumentResponseSchema, await answer.body.text(), { ignoreUnknownFields: true });
  }

  /** Returns a document's content: its extracted text, or the original bytes. */
  async content(documentId: string, kind: "TEXT" | "ORIGINAL", signal?: AbortSignal): Promise<Blob> {
    const url = `${this.baseUrl}/v1/documents/${encodeURIComponent(documentId)}/content?kind=CONTENT_KIND_${kind}`;
    return (await this.#send((token) => send(url, token, undefined, signal ? { signal } : {}))).body;
  }

  /** Sends with the session's token, once more where it was refused. */
  async #send(work: (token: string) => Promise<HttpAnswer>): Promise<HttpAnswer> {
    const token = await this.session.token();
    let answer = await work(token).catch(fail);
    if (answer.status === 401 && token) answer = await work(await this.session.replace(token)).catch(fail);
    if (answer.status !== 200) throw await failure(answer);
    return answer;
  }
}

function fail(error: unknown): never {
  throw semantikError(error);
}

async function failure({ status, body, correlationId }: HttpAnswer): Promise<SemantikError> {
  const { code, message, details }: Status = parsed(await body.text());
  const info = details?.find((detail) => detail.reason);
  const reason = known(info?.reason ?? "");
  return new SemantikError(code ?? codeOf(status), reason, message ?? `HTTP status ${status}`, info?.metadata, {}, undefined, correlationId);
}

function parsed(body: string): Status {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    // Not ours: something before the gateway answered, with a page of its own.
    return {};
  }
}

const codeOf = (status: number): Code => (status === 502 || status === 503 || status === 504 ? Code.Unavailable : Code.Unknown);
