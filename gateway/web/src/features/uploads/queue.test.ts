import { Code, SemantikError } from "@semantik/client";
import { expect, test, vi } from "vitest";
import { UploadQueue, type Send } from "./queue.ts";

const file = (name: string) => ({ name, file: new File(["text"], name) });

test("four files are sent at a time, and the next when one has ended", async () => {
  const ends: (() => void)[] = [];
  const send: Send = () => new Promise((resolve) => ends.push(() => resolve(undefined)));
  const queue = new UploadQueue(send);
  queue.add("c", ["a", "b", "c", "d", "e", "f"].map(file));
  expect(queue.get().map(({ state }) => state)).toEqual(["sending", "sending", "sending", "sending", "waiting", "waiting"]);
  ends[0]?.();
  await vi.waitFor(() => expect(ends).toHaveLength(5));
  expect(queue.get().map(({ state }) => state)).toEqual(["done", "sending", "sending", "sending", "sending", "waiting"]);
});

test("a file that is refused says why, and stops no other", async () => {
  const done = vi.fn();
  const send: Send = async (_, name) => {
    if (name === "bad") throw new SemantikError(Code.InvalidArgument, "UPLOAD_TOO_LARGE", "too large");
  };
  const queue = new UploadQueue(send, done);
  queue.add("c", [file("bad"), file("good")]);
  await vi.waitFor(() => expect(done).toHaveBeenCalledOnce());
  expect(queue.get().map(({ state, problem }) => [state, problem])).toEqual([
    ["failed", "The file is larger than an upload may be."],
    ["done", ""],
  ]);
  queue.clear();
  expect(queue.get()).toEqual([]);
});
