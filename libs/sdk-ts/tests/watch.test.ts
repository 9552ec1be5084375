/** Watches that go on. */

import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { watch } from "../src/index.js";

type Step = number | ConnectError | "end";

function streams(...plans: Step[][]) {
  return async function* (): AsyncGenerator<number> {
    for (const step of plans.shift() ?? []) {
      if (step === "end") return;
      if (typeof step !== "number") throw step;
      yield step;
    }
  };
}

async function all(states: AsyncIterable<number>): Promise<number[]> {
  const seen: number[] = [];
  for await (const state of states) seen.push(state);
  return seen;
}

const quick = { sleep: async () => undefined };
const lost = new ConnectError("gone", Code.Unavailable);

test("a watch goes on after its stream broke, or ended before the last state", async () => {
  const open = streams([1, lost], [], [2, "end"], [3, 9, 10]);
  expect(await all(watch(open, (state) => state === 9, quick))).toEqual([1, 2, 3, 9]);
});

test("it says when what it showed may be out of date", async () => {
  const said: boolean[] = [];
  await all(watch(streams([1, lost], [9]), (state) => state === 9, { ...quick, onStale: (isStale) => said.push(isStale) }));
  expect(said).toEqual([false, true, false]);
});

test("a failure that does not pass ends it", async () => {
  const gone = new ConnectError("no such operation", Code.NotFound);
  await expect(all(watch(streams([1, gone]), () => false, quick))).rejects.toMatchObject({ code: Code.NotFound });
});

test("it ends quietly when nobody wants it any more", async () => {
  const end = new AbortController();
  const seen: number[] = [];
  for await (const state of watch(streams([1, 2, 3]), () => false, { ...quick, signal: end.signal })) {
    seen.push(state);
    if (state === 2) end.abort();
  }
  expect(seen).toEqual([1, 2]);
});

test("pauses grow while nothing answers", async () => {
  const pauses: number[] = [];
  const end = new AbortController();
  const sleep = async (ms: number) => {
    pauses.push(ms);
    if (pauses.length === 12) end.abort();
  };
  await all(watch(streams(), () => false, { sleep, signal: end.signal }));
  expect(Math.max(...pauses)).toBeLessThanOrEqual(15_000);
  expect(Math.max(...pauses.slice(6))).toBeGreaterThan(500);
});
