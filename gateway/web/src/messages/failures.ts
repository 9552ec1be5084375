/** What people read when a call fails: a sentence for each reason. */

import { Code, semantikError } from "@semantik/client";

export const sentences: Record<string, string> = {
  INVALID_REQUEST: "Something in the form is not valid.",
  PAGE_TOKEN_INVALID: "The list changed. Load it again.",
  CREDENTIALS_MISSING: "Sign in to go on.",
  TOKEN_INVALID: "Your session has ended. Sign in again.",
  CREDENTIALS_WRONG: "The username or the password is wrong.",
  REFRESH_TOKEN_INVALID: "Your session has ended. Sign in again.",
  SIGN_IN_CODE_INVALID: "This sign-in link was used or has expired. Make a new one.",
  TOO_MANY_ATTEMPTS: "Too many attempts. Wait a moment and try again.",
  REGISTRATION_CLOSED: "This installation does not take registrations. Ask its administrator for an account.",
  USER_EXISTS: "Somebody has this username or email address already.",
  ROLE_REQUIRED: "Your role does not allow this. Ask an administrator.",
  COLLECTION_ROLE_REQUIRED: "You may look at this collection, but not change it.",
  SESSION_NOT_FOUND: "This session has ended already.",
  COLLECTION_NOT_FOUND: "There is no such collection, or you may not see it.",
  SOURCE_NOT_FOUND: "This source is gone.",
  DOCUMENT_NOT_FOUND: "There is no such document, or you may not see it.",
  OPERATION_NOT_FOUND: "There is no such operation, or you may not see it.",
  MODEL_NOT_FOUND: "This model is not installed.",
  INDEX_NOT_FOUND: "The collection has no index yet. Add documents first.",
  COLLECTION_EXISTS: "You have a collection of this name already.",
  SOURCE_EXISTS: "This folder is in the collection already.",
  REQUEST_ID_REUSED: "This was sent before with other content. Try again.",
  PATH_NOT_ALLOWED: "The server may not read this folder. An administrator can allow it, or you can upload the files.",
  QUOTA_EXCEEDED: "A limit is reached. Delete something, or ask an administrator.",
  OVERLOADED: "The server is busy. Try again in a moment.",
  MODEL_MISMATCH: "The collection was indexed with another model.",
  PRECISION_UNSUPPORTED: "The model cannot run with this precision here.",
  TEXT_TOO_LONG: "The text is too long.",
  VECTOR_INVALID: "The model gave no usable answer. Try again.",
  FENCED: "Another worker has taken over this work.",
  LEASE_LOST: "Another worker has taken over this work.",
  UPLOAD_INVALID: "The upload is not valid: its name or its content cannot be taken.",
  UPLOAD_TOO_LARGE: "The file is larger than an upload may be.",
  CONTENT_NOT_FOUND: "The document has no such content.",
  MESSAGE_TOO_LARGE: "The request is too large.",
  DEPENDENCY_UNAVAILABLE: "A part of the server is not available. Try again in a moment.",
  DEADLINE_EXCEEDED: "This took too long. Try again.",
  DRAINING: "The server is restarting. Try again in a moment.",
  RATE_LIMITED: "That was too much at once. Wait a moment and try again.",
  INTERNAL: "Something went wrong on the server.",
  STATE_CONFLICT: "It is not in a state in which this can be done.",
  ATTEMPTS_EXHAUSTED: "It was tried several times and did not succeed.",
  SOURCE_UNREADABLE: "The source cannot be read. Check that the folder is there.",
  ROUTE_NOT_FOUND: "The server does not know this call. Is it of the same version?",
  MODEL_KIND_WRONG: "This model is of another kind.",
  RERANKER_MISSING: "No model for reranking is installed.",
  MODEL_DAMAGED: "The model's files are damaged. Download it again.",
  MODEL_TOO_LARGE: "The model does not fit into the memory that is set aside for models.",
  MODEL_REQUIRED: "The model is in use.",
  MODEL_EXISTS: "This model is installed already.",
  DOWNLOADS_DISABLED: "Downloads of models are switched off here.",
  DOWNLOAD_FAILED: "The download failed. Try again.",
  MODEL_UNSUPPORTED: "A model of this architecture cannot be used.",
  SETTLE_FAILED: "The work could not be brought to its end. A repair will do it.",
  NOT_CANCELLABLE: "This work cannot be cancelled.",
  STORAGE_FULL: "The server's disk is full.",
  STATEMENT_TIMEOUT: "The database took too long. Try again, or ask for less.",
  TRANSACTION_CONFLICT: "Somebody changed the same thing at the same time. Try again.",
  DOCUMENT_PURGED: "The document's bytes are gone. Upload it again.",
  CHUNK_NOT_FOUND: "The document has no such passage.",
  JUDGED_SET_NOT_FOUND: "There is no such judged set.",
  JUDGED_SET_EXISTS: "There is a judged set of this name already.",
  EVALUATION_NOT_FOUND: "There is no such evaluation.",
  GENERATION_NOT_FOUND: "The index has no such generation any more.",
};

const OFFLINE = "The server cannot be reached. Is it running, and are you online?";

/** Returns a failure as a sentence, and the id that the server's logs know it by. */
export function sentence(error: unknown): { message: string; correlationId: string } {
  const failure = semantikError(error);
  const fields = Object.values(failure.fields).join("; ");
  const known = sentences[failure.reason];
  const message = known ? (fields ? `${known} (${fields})` : known) : failure.code === Code.Unavailable ? OFFLINE : failure.message;
  return { message, correlationId: failure.reason === "INTERNAL" ? failure.correlationId : "" };
}
