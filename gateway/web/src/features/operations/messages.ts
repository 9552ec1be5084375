/** Texts of background work. */

import { Operation_Kind, Operation_State, Progress_Phase } from "@semantik/client";
import type { Tone } from "../../design/index.tsx";

export const text = {
  operations: "Operations",
  running: "Running now",
  none: "Nothing has run yet",
  noneHint: "Indexing, syncing and deleting appear here while they run and after they ended.",
  kind: "Work",
  state: "State",
  collection: "Collection",
  progress: "Progress",
  started: "Started",
  cancel: "Cancel",
  retry: "Run again",
  indexed: "Indexed",
  unchanged: "Unchanged",
  skipped: "Skipped",
  failed: "Failed",
  removed: "Removed",
  passages: "Passages",
  tokens: "Tokens a second",
  left: "left",
  waits: "Waiting",
  of: "of",
  took: "took",
  throughput: "Documents done over time",
  more: (number: number) => (number === 1 ? "and one more" : `and ${number} more`),
  ahead: (number: number) => (number === 1 ? "behind one other" : `behind ${number} others`),
};

export const KINDS: Record<Operation_Kind, string> = {
  [Operation_Kind.UNSPECIFIED]: "Work",
  [Operation_Kind.INDEX]: "Index",
  [Operation_Kind.APPEND]: "Add uploads",
  [Operation_Kind.SYNC]: "Sync a source",
  [Operation_Kind.REINDEX]: "Index anew",
  [Operation_Kind.ROLLBACK]: "Go back",
  [Operation_Kind.REMOVE_SOURCE]: "Remove a source",
  [Operation_Kind.RETRY]: "Try failed documents again",
  [Operation_Kind.PURGE]: "Delete documents",
  [Operation_Kind.RECONCILE]: "Check the index",
  [Operation_Kind.EVALUATE]: "Evaluate",
  [Operation_Kind.DELETE]: "Delete a collection",
};

export const STATES: Record<Operation_State, [Tone, string]> = {
  [Operation_State.UNSPECIFIED]: ["calm", "unknown"],
  [Operation_State.QUEUED]: ["calm", "queued"],
  [Operation_State.RUNNING]: ["busy", "running"],
  [Operation_State.PAUSED]: ["warn", "paused"],
  [Operation_State.CANCELLING]: ["warn", "cancelling"],
  [Operation_State.SUCCEEDED]: ["good", "done"],
  [Operation_State.FAILED]: ["bad", "failed"],
  [Operation_State.CANCELLED]: ["calm", "cancelled"],
};

export const PHASES: Record<Progress_Phase, string> = {
  [Progress_Phase.UNSPECIFIED]: "starting",
  [Progress_Phase.LISTING]: "listing files",
  [Progress_Phase.INDEXING]: "indexing",
  [Progress_Phase.REMOVING]: "removing",
  [Progress_Phase.FINISHING]: "finishing",
  [Progress_Phase.EVALUATING]: "evaluating",
};
