/** What is done around a call. */

import { Code, ConnectError, createClient, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { UserService } from "../src/gen/semantik/auth/v1/user_service_pb.js";
import { ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { authorized, patient } from "../src/interceptors.js";
import { reasons, semantikError, type Session } from "../src/index.js";

const failure = (code: Code, reason: string, seconds?: number) =>
  new ConnectError("no", code, undefined, [
    { desc: ErrorInfoSchema, value: { reason, domain: "semantik", metadata: { id: "7" } } },
    ...(seconds === undefined ? [] : [{ desc: RetryInfoSchema, value: { retryDelay: { seconds: BigInt(seconds), nanos: 0 } } }]),
  ]);

function users(interceptors: Interceptor[], answers: (ConnectError | "ok")[], seen: string[] = []) {
  const answer = (headers: Headers) => {
    seen.push(headers.get("authorization") ?? "");
    const next = answers.shift() ?? "ok";
    if (next !== "ok") throw next;
    return {};
  };
  const transport = createRouterTransport(
    ({ service }) => {
      service(UserService, {
        getMe: (_, { requestHeader }) => answer(requestHeader),
        createSignInCode: (_, { requestHeader }) => answer(requestHeader),
      });
    },
    { transport: { interceptors } },
  );
  return createClient(UserService, transport);
}

test("a call that may be repeated is, after the pause that the service asks for", async () => {
  const pauses: number[] = [];
  const seen: string[] = [];
  const client = users([patient(async (ms) => void pauses.push(ms))], [failure(Code.Unavailable, "DRAINING", 2)], seen);
  await client.getMe({});
  expect([pauses, seen.length]).toEqual([[2000], 2]);
});

test.each([
  ["what creates something", "createSignInCode", Code.Unavailable],
  ["what is refused for good", "getMe", Code.InvalidArgument],
] as const)("%s is not repeated", async (_, method, code) => {
  const seen: string[] = [];
  const client = users([patient(async () => undefined)], [failure(code, "INTERNAL")], seen);
  await expect(client[method]({})).rejects.toThrow("no");
  expect(seen).toHaveLength(1);
});

test("it gives up after three tries", async () => {
  const seen: string[] = [];
  const down = () => failure(Code.Unavailable, "DRAINING");
  const client = users([patient(async () => undefined)], [down(), down(), down(), down()], seen);
  await expect(client.getMe({})).rejects.toThrow("no");
  expect(seen).toHaveLength(3);
});

test("a refused token is replaced once", async () => {
  const session = { token: async () => "old", replace: async (refused: string) => `not ${refused}` } as unknown as Session;
  const seen: string[] = [];
  const refused = () => failure(Code.Unauthenticated, "TOKEN_INVALID");
  const client = users([authorized(() => session)], [refused(), "ok", refused(), refused()], seen);
  await client.getMe({});
  await expect(client.getMe({})).rejects.toThrow("no");
  expect(seen).toEqual(["Bearer old", "Bearer not old", "Bearer old", "Bearer not old"]);
});

test("a failure says its reason, its metadata and when to try again", async () => {
  const client = users([], [failure(Code.ResourceExhausted, "TOO_MANY_ATTEMPTS", 3)]);
  const read = semantikError(await client.getMe({}).catch((error: unknown) => error));
  expect(read).toMatchObject({ code: Code.ResourceExhausted, reason: "TOO_MANY_ATTEMPTS", metadata: { id: "7" }, retryAfterMs: 3000 });
});

test("a reason of a newer server is none that this client knows", () => {
  expect(semantikError(failure(Code.Internal, "NEW_AND_UNHEARD_OF")).reason).toBe("");
  expect(reasons).toContain("CREDENTIALS_WRONG");
  expect(reasons).not.toContain("UNSPECIFIED");
});
