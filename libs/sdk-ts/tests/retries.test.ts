import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { CollectionService } from "../src/gen/semantik/collection/v1/collection_service_pb.js";
import { failure, semantikOf } from "./gateway.js";

const passing = failure(Code.Unavailable, "DEPENDENCY_UNAVAILABLE", 1);

function failing(times: number, error = passing) {
  let called = 0;
  const answer = () => {
    called += 1;
    return called <= times ? Promise.reject(error) : Promise.resolve({});
  };
  const semantik = semantikOf(({ service }) => service(CollectionService, { getCollection: answer, createCollection: answer, deleteCollection: answer }));
  return { semantik, count: () => called };
}

test("a read is repeated until it succeeds", async () => {
  const { semantik, count } = failing(2);
  await semantik.collections.getCollection({ collectionId: "c" });
  expect(count()).toBe(3);
});

test("what the contract calls idempotent is repeated too", async () => {
  const { semantik, count } = failing(1);
  await semantik.collections.deleteCollection({ collectionId: "c" });
  expect(count()).toBe(2);
});

test("three tries are enough", async () => {
  const { semantik, count } = failing(9);
  await expect(semantik.collections.getCollection({ collectionId: "c" })).rejects.toMatchObject({ reason: "DEPENDENCY_UNAVAILABLE" });
  expect(count()).toBe(3);
});

test("what creates something is not repeated", async () => {
  const { semantik, count } = failing(1);
  await expect(semantik.collections.createCollection({ name: "n" })).rejects.toMatchObject({ code: Code.Unavailable });
  expect(count()).toBe(1);
});

test.each([
  ["that does not pass", failure(Code.NotFound, "COLLECTION_NOT_FOUND")],
  ["whose pause is too long to wait silently", failure(Code.ResourceExhausted, "TOO_MANY_ATTEMPTS", 60_000)],
])("a failure %s is told at once", async (_, error) => {
  const { semantik, count } = failing(1, error);
  await expect(semantik.collections.getCollection({ collectionId: "c" })).rejects.toMatchObject({ code: error.code });
  expect(count()).toBe(1);
});

test("a limit that is over in a moment is waited for", async () => {
  const { semantik, count } = failing(1, failure(Code.ResourceExhausted, "TOO_MANY_ATTEMPTS", 1));
  await semantik.collections.getCollection({ collectionId: "c" });
  expect(count()).toBe(2);
});

test("a call that is given up is not repeated", async () => {
  const { semantik, count } = failing(9, failure(Code.Unavailable, "DEPENDENCY_UNAVAILABLE", 9_000));
  const given = new AbortController();
  const call = semantik.collections.getCollection({ collectionId: "c" }, { signal: given.signal });
  given.abort();
  await expect(call).rejects.toBeDefined();
  expect(count()).toBeLessThanOrEqual(1);
});
