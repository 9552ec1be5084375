/** What a call failed with. */

import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorReason } from "./gen/semantik/error/v1/error_reason_pb.js";
import { ErrorInfoSchema, BadRequestSchema, RetryInfoSchema } from "./gen/google/rpc/error_details_pb.js";

/** The names of the reasons, without their prefix: `CREDENTIALS_WRONG`. */
export type Reason = keyof typeof ErrorReason | "";

export class SemantikError extends Error {
  override readonly name = "SemantikError";

  constructor(
    /** The gRPC status. */
    readonly code: Code,
    /** The ErrorInfo's reason, empty where the failure has none: the connection's. */
    readonly reason: Reason,
    message: string,
    /** What the reason says more: ids, names, limits. */
    readonly metadata: Readonly<Record<string, string>> = {},
    /** The fields that are wrong, with a sentence each. */
    readonly fields: Readonly<Record<string, string>> = {},
    /** When trying again makes sense, in milliseconds; undefined where nothing is said. */
    readonly retryAfterMs?: number | undefined,
    /** What the logs of the services know the call by. */
    readonly correlationId: string = "",
  ) {
    super(message);
  }

  /** Whether the same call may succeed later. */
  get isPassing(): boolean {
    return this.code === Code.Unavailable || this.retryAfterMs !== undefined;
  }
}

/** Returns the failure of a call, which Connect throws as a ConnectError, with what the services say of it. */
export function semantikError(error: unknown): SemantikError {
  if (error instanceof SemantikError) return error;
  const failure = ConnectError.from(error);
  // What an interceptor throws comes out of connect as the cause of another error.
  if (failure.cause instanceof SemantikError) return failure.cause;
  if (isConnectionLost(error) || isConnectionLost(failure.cause)) return new SemantikError(Code.Unavailable, "", "the connection was lost");
  const [info] = failure.findDetails(ErrorInfoSchema);
  const [bad] = failure.findDetails(BadRequestSchema);
  const [retry] = failure.findDetails(RetryInfoSchema);
  const delay = retry?.retryDelay;
  return new SemantikError(
    failure.code,
    known(info?.reason ?? ""),
    failure.rawMessage,
    info?.metadata ?? {},
    Object.fromEntries((bad?.fieldViolations ?? []).map((each) => [each.field, each.description])),
    delay && Number(delay.seconds) * 1000 + delay.nanos / 1e6,
    failure.metadata.get("x-correlation-id") ?? "",
  );
}

/** Whether the failure is the connection's: fetch rejects with a TypeError, and a stream that breaks over HTTP/1.1 ends early. */
function isConnectionLost(error: unknown): boolean {
  return error instanceof TypeError || error === "missing trailer" || error === "missing response body";
}

/** Returns a reason by its name, empty where this client does not know it. */
export function known(reason: string): Reason {
  return reason in ErrorReason ? (reason as Reason) : "";
}

/** Every reason that a service may answer with. */
export const reasons: readonly string[] = Object.keys(ErrorReason).filter((name) => Number.isNaN(Number(name)) && name !== "UNSPECIFIED");
