/** What is done around each call: the token, and one more try. */

import type { Interceptor } from "@connectrpc/connect";
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import { semantikError } from "./errors.js";
import type { Session } from "./session.js";

const TRIES = 3;
const FIRST_MS = 200;
const LONGEST_MS = 2000;
/** A server that asks for a longer pause has its failure told instead. */
const MOST_PATIENCE_MS = 10_000;

/** Asks for the refresh token to be kept in a cookie. */
export const cookieTransport: Interceptor = (next) => (request) => {
  request.header.set("x-session-transport", "cookie");
  return next(request);
};

/** Adds the session's token; one that is refused is replaced, once. */
export function authorized(session: () => Session): Interceptor {
  return (next) => async (request) => {
    const token = await session().token();
    if (token) request.header.set("authorization", `Bearer ${token}`);
    try {
      return await next(request);
    } catch (error) {
      if (!token || request.stream || semantikError(error).reason !== "TOKEN_INVALID") throw error;
      request.header.set("authorization", `Bearer ${await session().replace(token)}`);
      return next(request);
    }
  };
}

/** Repeats unary calls that may be repeated (the contract says which) where the failure passes. */
export function patient(sleep: typeof pause = pause): Interceptor {
  return (next) => async (request) => {
    const isRepeatable = !request.stream && request.method.idempotency !== Level.IDEMPOTENCY_UNKNOWN;
    for (let tried = 1; ; tried += 1) {
      try {
        return await next(request);
      } catch (error) {
        const failure = semantikError(error);
        const delay = failure.retryAfterMs ?? Math.random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** tried);
        if (!isRepeatable || !failure.isPassing || tried === TRIES || delay > MOST_PATIENCE_MS) throw error;
        await sleep(delay, request.signal);
        if (request.signal.aborted) throw error;
      }
    }
  };
}

/** Waits, at most until `signal` is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
