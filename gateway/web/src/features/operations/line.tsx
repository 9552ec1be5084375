/** One operation on one line, live while it runs. */

import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { durationMs, hasEnded, Operation_State, type Operation } from "@semantik/client";
import { count, duration } from "../../app/format.ts";
import { semantik } from "../../app/semantik.ts";
import { Badge, Button, Meter } from "../../design/index.tsx";
import { text as common } from "../../messages/app.ts";
import { KINDS, PHASES, STATES, text } from "./messages.ts";
import { share, useOperation } from "./watching.ts";

export function details(operation: Operation): string {
  const progress = operation.progress;
  const parts: string[] = [];
  if (!hasEnded(operation) && operation.operationsAhead > 0) parts.push(text.ahead(operation.operationsAhead));
  if (!hasEnded(operation) && operation.waitReason) parts.push(operation.waitReason);
  if (progress && progress.documentsTotal > 0n) parts.push(`${count(progress.documentsDone)} ${text.of} ${count(progress.documentsTotal)}`);
  if (progress && !hasEnded(operation)) {
    if (progress.phase) parts.push(PHASES[progress.phase]);
    if (progress.remaining) parts.push(`${duration(durationMs(progress.remaining))} ${text.left}`);
  }
  if (operation.error?.message) parts.push(operation.error.message);
  return parts.join(" · ");
}

export function OperationLine({ known, collectionName }: { known: Operation; collectionName?: string | undefined }) {
  const { operation = known, isStale } = useOperation(known.id, known);
  const cancel = useMutation({ mutationFn: () => semantik.operations.cancelOperation({ operationId: known.id }) });
  const [tone, state] = STATES[operation.state];
  return (
    <li className="stack-small">
      <div className="spread">
        <span className="row">
          <Link to="/operations/$operationId" params={{ operationId: known.id }}>
            {KINDS[operation.kind]}
          </Link>
          {collectionName && <span className="muted">{collectionName}</span>}
          <Badge tone={tone}>{state}</Badge>
        </span>
        {!hasEnded(operation) && (
          <Button tone="plain" disabled={cancel.isPending} onClick={() => cancel.mutate()}>
            {text.cancel}
          </Button>
        )}
      </div>
      {operation.state !== Operation_State.QUEUED && <Meter value={share(operation)} label={KINDS[operation.kind]} />}
      <div className="muted small">{isStale ? common.stale : details(operation)}</div>
    </li>
  );
}
