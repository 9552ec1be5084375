/** Watches that go on when a stream breaks. */

import { Code } from "@connectrpc/connect";
import { semantikError } from "./errors.js";
import { pause } from "./interceptors.js";

export interface WatchOptions {
  signal?: AbortSignal;
  /** Told true when what was yielded last may be out of date, false once it is not. */
  onStale?: (isStale: boolean) => void;
  /** Called once when the stream is refused because of its credentials, before it is opened again. */
  renew?: () => Promise<unknown>;
  sleep?: typeof pause;
}

/** A watch repeats its state every 15 s: one that is silent for longer is dead. */
const SILENT_MS = 35_000;
const FIRST_MS = 500;
const LONGEST_MS = 15_000;
const PASSING: ReadonlySet<Code> = new Set([Code.Unavailable, Code.Internal, Code.Unknown, Code.DeadlineExceeded, Code.ResourceExhausted]);

/**
 * Yields the states of `open`'s stream, opened again with growing pauses whenever it breaks, until `isLast` holds for one or `signal`
 * is aborted. A failure that does not pass ends it.
 */
export async function* watch<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  isLast: (state: T) => boolean,
  { signal, onStale, renew, sleep = pause }: WatchOptions = {},
): AsyncGenerator<T, void, undefined> {
  let tries = 0;
  let isRenewed = false;
  while (!signal?.aborted) {
    const stream = new AbortController();
    const stop = () => stream.abort();
    signal?.addEventListener("abort", stop);
    let timer = setTimeout(stop, SILENT_MS);
    try {
      for await (const state of open(stream.signal)) {
        clearTimeout(timer);
        timer = setTimeout(stop, SILENT_MS);
        tries = 0;
        isRenewed = false;
        onStale?.(false);
        yield state;
        if (isLast(state) || signal?.aborted) return;
      }
    } catch (error) {
      if (signal?.aborted) return;
      const failure = semantikError(error);
      if (failure.code === Code.Unauthenticated && renew && !isRenewed) {
        const problem = await renew().then(() => undefined, semantikError);
        if (problem && !PASSING.has(problem.code)) throw problem;
        // What passes, a restart, leaves the renewal for the next time.
        isRenewed = problem === undefined;
      } else if (!stream.signal.aborted && !PASSING.has(failure.code)) throw failure;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
      stream.abort();
    }
    if (signal?.aborted) return;
    onStale?.(true);
    await sleep(Math.random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** tries), signal);
    tries += 1;
  }
}
