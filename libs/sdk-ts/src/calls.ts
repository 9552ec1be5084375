/** Clients whose calls fail with a SemantikError. */

import { createClient, type Client, type Transport } from "@connectrpc/connect";
import type { DescService } from "@bufbuild/protobuf";
import { semantikError } from "./errors.js";

type Call = (...values: unknown[]) => Promise<unknown> | AsyncIterable<unknown>;

/** Returns a client of a service; of its methods those are here that a browser can call: unary ones and streams of answers. */
export function clientOf<S extends DescService>(service: S, transport: Transport): Client<S> {
  const calls = createClient(service, transport) as unknown as Record<string, Call>;
  const wrapped: Record<string, Call> = {};
  for (const method of service.methods) {
    const call = calls[method.localName];
    if (!call) continue;
    wrapped[method.localName] =
      method.methodKind === "unary"
        ? (...values) => (call(...values) as Promise<unknown>).catch(fail)
        : (...values) => streamed(call(...values) as AsyncIterable<unknown>);
  }
  return wrapped as unknown as Client<S>;
}

async function* streamed<T>(stream: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  try {
    yield* stream;
  } catch (error) {
    fail(error);
  }
}

function fail(error: unknown): never {
  throw semantikError(error);
}
