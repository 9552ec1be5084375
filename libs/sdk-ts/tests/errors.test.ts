import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { CollectionService } from "../src/gen/semantik/collection/v1/collection_service_pb.js";
import { reasons, semantikError, SemantikError } from "../src/index.js";
import { failure, semantikOf } from "./gateway.js";

test("a call fails with the code, the reason, the metadata and the id that the logs know", async () => {
  const semantik = semantikOf(({ service }) => service(CollectionService, { getCollection: () => Promise.reject(failure(Code.NotFound, "COLLECTION_NOT_FOUND")) }));
  const error = await semantik.collections.getCollection({ collectionId: "c" }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(SemantikError);
  expect(error).toMatchObject({ code: Code.NotFound, reason: "COLLECTION_NOT_FOUND", metadata: { name: "x" }, correlationId: "c-1", message: "refused" });
});

test.each([
  ["fetch without a network", new TypeError("Failed to fetch")],
  ["what connect makes of that", ConnectError.from(new TypeError("Failed to fetch"))],
  ["a stream that ends early over HTTP/1.1", ConnectError.from("missing trailer")],
])("%s is a connection that was lost, which passes", (_, error) => {
  expect(semantikError(error)).toMatchObject({ code: Code.Unavailable, reason: "", isPassing: true });
});

test("a reason of a later version is empty, its message stays", () => {
  expect(semantikError(failure(Code.Aborted, "NOT_OF_THIS_VERSION"))).toMatchObject({ code: Code.Aborted, reason: "", message: "refused" });
});

test("the reasons are those of the contract", () => {
  expect(reasons).toContain("CREDENTIALS_WRONG");
  expect(reasons).not.toContain("UNSPECIFIED");
});
