import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { Code } from "@connectrpc/connect";
import { afterEach, expect, test } from "vitest";
import { AuthService } from "../src/gen/semantik/auth/v1/auth_service_pb.js";
import type { Semantik } from "../src/index.js";
import { semantikOf, tokens } from "./gateway.js";

const open: (() => void)[] = [];
afterEach(() => open.splice(0).forEach((close) => close()));

/** A gateway of plain HTTP that answers with what `answer` says. */
async function gateway(answer: (request: IncomingMessage, body: string) => [number, string]): Promise<Semantik> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (part: Buffer) => (body += part.toString()));
    request.on("end", () => {
      const [status, text] = answer(request, body);
      response.writeHead(status, { "x-correlation-id": "c-1" }).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => server.close());
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const routes = { login: () => ({ tokens: tokens("a0", "r0") }), refreshToken: () => ({ tokens: tokens("a1", "r1") }) };
  const semantik = semantikOf(({ service }) => service(AuthService, routes), { baseUrl });
  await semantik.session.signIn("ada", "password");
  return semantik;
}

test("a file is sent as it is, under its name", async () => {
  const seen: string[] = [];
  const semantik = await gateway((request, body) => {
    seen.push(request.url?.replace(/requestId=.*/, "") ?? "", request.headers["content-type"] ?? "", body);
    return [200, '{"document":{"id":"d","path":"a b/ü.md"},"ofALaterVersion":1}'];
  });
  const { document } = await semantik.uploads.upload("c", "a b/ü.md", new Blob(["text"], { type: "text/markdown" }));
  expect([document?.id, seen]).toEqual(["d", ["/v1/collections/c/documents:upload?name=a%20b%2F%C3%BC.md&", "text/markdown", "text"]]);
});

test("a token that was refused is replaced, and the file sent once more", async () => {
  const semantik = await gateway((request) => (request.headers.authorization === "Bearer a1" ? [200, "{}"] : [401, "{}"]));
  await expect(semantik.uploads.upload("c", "a.md", new Blob(["text"]))).resolves.toBeDefined();
});

test("a refusal has the reason, and the id that the logs know", async () => {
  const body = { code: 3, message: "too large", details: [{ reason: "UPLOAD_TOO_LARGE", metadata: { limit: "1" } }] };
  const semantik = await gateway(() => [400, JSON.stringify(body)]);
  const expected = { code: Code.InvalidArgument, reason: "UPLOAD_TOO_LARGE", message: "too large", metadata: { limit: "1" }, correlationId: "c-1" };
  await expect(semantik.uploads.upload("c", "a.md", new Blob(["text"]))).rejects.toMatchObject(expected);
});

test("what a proxy answers in its own words passes", async () => {
  const semantik = await gateway(() => [503, "<html>"]);
  await expect(semantik.uploads.content("d", "TEXT")).rejects.toMatchObject({ code: Code.Unavailable, reason: "" });
});

test("a content comes as its bytes", async () => {
  const semantik = await gateway((request) => [200, request.url ?? ""]);
  expect(await (await semantik.uploads.content("d", "ORIGINAL")).text()).toBe("/v1/documents/d/content?kind=CONTENT_KIND_ORIGINAL");
});

test("an upload that is given up is cancelled", async () => {
  const semantik = await gateway(() => [200, "{}"]);
  const upload = semantik.uploads.upload("c", "a.md", new Blob(["text"]), { signal: AbortSignal.abort() });
  await expect(upload).rejects.toMatchObject({ code: Code.Canceled });
});
