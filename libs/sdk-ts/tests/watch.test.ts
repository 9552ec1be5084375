import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { AuthService } from "../src/gen/semantik/auth/v1/auth_service_pb.js";
import { OperationService } from "../src/gen/semantik/operation/v1/operation_service_pb.js";
import { Operation_State as State } from "../src/gen/semantik/operation/v1/operation_pb.js";
import { watch } from "../src/index.js";
import { failure, semantikOf, tokenOf, tokens } from "./gateway.js";

const noPause = { sleep: () => Promise.resolve() };

/** Opens the streams of `scripts` one after the other; an Error in one breaks it. */
function streams(...scripts: (string | Error)[][]) {
  let opened = 0;
  const open = async function* () {
    for (const next of scripts[opened++] ?? []) {
      if (next instanceof Error) throw next;
      yield next;
    }
  };
  return { open, count: () => opened };
}

async function all<T>(states: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const state of states) collected.push(state);
  return collected;
}

test("a watch ends with the last state", async () => {
  const { open, count } = streams(["running", "done", "never"]);
  expect([await all(watch(open, (state) => state === "done")), count()]).toEqual([["running", "done"], 1]);
});

test("a stream that breaks, or ends too early, is opened again; what is stale is told", async () => {
  const { open, count } = streams(["running", failure(Code.Unavailable, "DRAINING")], ["running"], ["done"]);
  const stale: boolean[] = [];
  const states = await all(watch(open, (state) => state === "done", { ...noPause, onStale: (isStale) => stale.push(isStale) }));
  expect([states, count(), stale]).toEqual([["running", "running", "done"], 3, [false, true, false, true, false]]);
});

test("the pauses grow until a state comes", async () => {
  const away = failure(Code.Unavailable, "DRAINING");
  const { open } = streams([away], [away], [away], ["running", away], ["done"]);
  const pauses: number[] = [];
  await all(watch(open, (state) => state === "done", { sleep: (ms) => Promise.resolve(void pauses.push(ms)) }));
  const most = [500, 1000, 2000, 500];
  expect(pauses).toHaveLength(4);
  pauses.forEach((ms, index) => expect(ms).toBeLessThanOrEqual(most[index] ?? 0));
});

test("a failure that does not pass ends the watch", async () => {
  const { open } = streams([failure(Code.NotFound, "OPERATION_NOT_FOUND")]);
  await expect(all(watch(open, () => false, noPause))).rejects.toMatchObject({ reason: "OPERATION_NOT_FOUND" });
});

test("credentials are renewed once, then their refusal counts", async () => {
  const refused = failure(Code.Unauthenticated, "TOKEN_INVALID");
  let renewed = 0;
  const renew = () => Promise.resolve(void (renewed += 1));
  expect(await all(watch(streams([refused], ["done"]).open, () => true, { ...noPause, renew }))).toEqual(["done"]);
  await expect(all(watch(streams([refused], [refused]).open, () => true, { ...noPause, renew }))).rejects.toMatchObject({ reason: "TOKEN_INVALID" });
  expect(renewed).toBe(2);
});

test("a renewal that meets a restart is tried again", async () => {
  const refused = failure(Code.Unauthenticated, "TOKEN_INVALID");
  let asked = 0;
  const renew = () => {
    asked += 1;
    return asked === 1 ? Promise.reject(failure(Code.Unavailable, "DRAINING")) : Promise.resolve();
  };
  const { open } = streams([refused], [refused], ["done"]);
  expect([await all(watch(open, () => true, { ...noPause, renew })), asked]).toEqual([["done"], 2]);
});

test("a renewal that is refused ends the watch", async () => {
  const { open } = streams([failure(Code.Unauthenticated, "TOKEN_INVALID")]);
  const renew = () => Promise.reject(failure(Code.Unauthenticated, "REFRESH_TOKEN_INVALID"));
  await expect(all(watch(open, () => true, { ...noPause, renew }))).rejects.toMatchObject({ reason: "REFRESH_TOKEN_INVALID" });
});

test("a watch that is given up ends without a failure", async () => {
  const end = new AbortController();
  const open = async function* (signal: AbortSignal) {
    yield "running";
    await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))));
  };
  const states: string[] = [];
  for await (const state of watch(open, () => false, { signal: end.signal })) {
    states.push(state);
    end.abort();
  }
  expect(states).toEqual(["running"]);
});

test("an operation is watched through a restart and a token that was revoked", async () => {
  const calls: string[] = [];
  const semantik = semantikOf(({ service }) => {
    service(AuthService, { login: () => ({ tokens: tokens("a0", "r0") }), refreshToken: () => ({ tokens: tokens("a1", "r1") }) });
    service(OperationService, {
      async *watchOperation(_, context) {
        calls.push(tokenOf(context));
        if (tokenOf(context) === "a0") throw failure(Code.Unauthenticated, "TOKEN_INVALID");
        yield { operation: { id: "o", state: State.RUNNING } };
        if (calls.length < 3) throw failure(Code.Unavailable, "DRAINING");
        yield { operation: { id: "o", state: State.SUCCEEDED } };
      },
    });
  });
  await semantik.session.signIn("ada", "password");
  const states = (await all(semantik.watchOperation("o", noPause))).map(({ state }) => state);
  expect([states, calls]).toEqual([
    [State.RUNNING, State.RUNNING, State.SUCCEEDED],
    ["a0", "a1", "a1"],
  ]);
});
