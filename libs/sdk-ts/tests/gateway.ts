/** The services that a test speaks to: the real client and interceptors over a transport in memory. */

import { Code, ConnectError, createRouterTransport, type ConnectRouter } from "@connectrpc/connect";
import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { TokensSchema, type Tokens } from "../src/gen/semantik/auth/v1/session_pb.js";
import { ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { Semantik, type Options } from "../src/index.js";

export function semantikOf(routes: (router: ConnectRouter) => void, options: Partial<Options> = {}): Semantik {
  return new Semantik({ baseUrl: "http://gateway", transport: (interceptors) => createRouterTransport(routes, { transport: { interceptors } }), ...options });
}

export function tokens(accessToken: string, refreshToken = "", livesMs = 900_000): Tokens {
  return create(TokensSchema, { accessToken, refreshToken, accessExpireTime: timestampFromMs(Date.now() + livesMs) });
}

/** A failure as the services send it. */
export function failure(code: Code, reason: string, retryAfterMs?: number): ConnectError {
  const details = [{ desc: ErrorInfoSchema, value: { reason, domain: "semantik", metadata: { name: "x" } } }];
  const retry = { desc: RetryInfoSchema, value: { retryDelay: durationFromMs(retryAfterMs ?? 0) } };
  const all = retryAfterMs === undefined ? details : [...details, retry];
  return new ConnectError("refused", code, { "x-correlation-id": "c-1" }, all);
}

/** The headers of a call's token, `Bearer` left out. */
export const tokenOf = (context: { requestHeader: Headers }): string => context.requestHeader.get("authorization")?.replace("Bearer ", "") ?? "";
