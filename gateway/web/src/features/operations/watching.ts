/** An operation, live. */

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { hasEnded, type Operation } from "@semantik/client";
import { semantik } from "../../app/semantik.ts";

export interface Live {
  operation: Operation | undefined;
  isStale: boolean;
  error: unknown;
}

/** Follows an operation to its end; lists that it changes are read again then. */
export function useOperation(operationId: string, known?: Operation): Live {
  const queries = useQueryClient();
  const [live, setLive] = useState<Live>({ operation: known, isStale: false, error: undefined });
  useEffect(() => {
    const end = new AbortController();
    const follow = async () => {
      const onStale = (isStale: boolean) => setLive((before) => ({ ...before, isStale }));
      for await (const operation of semantik.watchOperation(operationId, { signal: end.signal, onStale })) {
        setLive({ operation, isStale: false, error: undefined });
        if (hasEnded(operation)) void queries.invalidateQueries();
      }
    };
    follow().catch((error: unknown) => setLive((before) => ({ ...before, error })));
    return () => end.abort();
  }, [operationId, queries]);
  return live;
}

/** How much is done, 0 to 1; undefined while nobody knows. */
export function share(operation: Operation): number | undefined {
  if (hasEnded(operation)) return 1;
  const progress = operation.progress;
  if (!progress || (progress.percent === 0 && progress.documentsTotal === 0n)) return undefined;
  return progress.percent / 100;
}
