/** Lists of operations. */

import { queryOptions } from "@tanstack/react-query";
import { Operation_State } from "@semantik/client";
import { semantik } from "../../app/semantik.ts";

const OPEN = [Operation_State.QUEUED, Operation_State.RUNNING, Operation_State.PAUSED, Operation_State.CANCELLING];

export const runningOperations = (collectionId = "") =>
  queryOptions({
    queryKey: ["operations", "running", collectionId],
    queryFn: async ({ signal }) => (await semantik.operations.listOperations({ collectionId, states: OPEN, pageSize: 50 }, { signal })).operations,
    refetchInterval: 3_000,
  });

export const recentOperations = queryOptions({
  queryKey: ["operations", "recent"],
  queryFn: async ({ signal }) => (await semantik.operations.listOperations({ pageSize: 100 }, { signal })).operations,
  refetchInterval: 5_000,
});
