/** One operation: its progress as it goes on, its counts, and how fast it was. */

import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useState } from "react";
import { hasEnded, Operation_State, timestampMs, type Operation } from "@semantik/client";
import { count, duration } from "../../app/format.ts";
import { semantik } from "../../app/semantik.ts";
import { Badge, Button, Failure, Meter, Skeleton, Tile } from "../../design/index.tsx";
import { text as common } from "../../messages/app.ts";
import { collections } from "../collections/queries.ts";
import { details } from "./line.tsx";
import { KINDS, STATES, text } from "./messages.ts";
import { Throughput, type Point } from "./throughput.tsx";
import { share, useOperation } from "./watching.ts";

/** Collects how much was done when, while the page is open. */
function usePoints(operation: Operation | undefined): Point[] {
  const [points, setPoints] = useState<Point[]>([]);
  const done = Number(operation?.progress?.documentsDone ?? 0);
  const at = operation?.updateTime ? timestampMs(operation.updateTime) : 0;
  if (at && points.at(-1)?.at !== at) setPoints([...points, { at, done }]);
  return points;
}

export function OperationPage() {
  const { operationId } = useParams({ from: "/shell/operations/$operationId" });
  const navigate = useNavigate();
  const { operation, isStale, error } = useOperation(operationId);
  const names = useQuery(collections);
  const points = usePoints(operation);
  const cancel = useMutation({ mutationFn: () => semantik.operations.cancelOperation({ operationId }) });
  const retry = useMutation({
    mutationFn: () => semantik.operations.retryOperation({ operationId }),
    onSuccess: (answer) => answer.operation && navigate({ to: "/operations/$operationId", params: { operationId: answer.operation.id } }),
  });
  if (error) return <Failure error={error} />;
  if (!operation) return <Skeleton lines={5} />;
  const [tone, state] = STATES[operation.state];
  const progress = operation.progress;
  const collection = names.data?.find(({ id }) => id === operation.collectionId);
  const isRetryable = operation.state === Operation_State.FAILED || operation.state === Operation_State.CANCELLED;
  return (
    <div className="stack">
      <div className="spread">
        <div className="row">
          <h1>{KINDS[operation.kind]}</h1>
          <Badge tone={tone}>{state}</Badge>
        </div>
        <div className="row">
          {!hasEnded(operation) && (
            <Button tone="danger" disabled={cancel.isPending} onClick={() => cancel.mutate()}>
              {text.cancel}
            </Button>
          )}
          {isRetryable && <Button onClick={() => retry.mutate()}>{text.retry}</Button>}
        </div>
      </div>
      {collection && (
        <Link to="/collections/$collectionId" params={{ collectionId: collection.id }}>
          {collection.name}
        </Link>
      )}
      {isStale && <div className="notice warn">{common.stale}</div>}
      <Meter value={share(operation)} label={KINDS[operation.kind]} />
      <p className="muted">
        {details(operation)}
        {operation.startTime && operation.finishTime && ` · ${text.took} ${duration(timestampMs(operation.finishTime) - timestampMs(operation.startTime))}`}
      </p>
      {progress && (
        <div className="tiles">
          <Tile label={text.indexed}>{count(progress.documentsIndexed)}</Tile>
          <Tile label={text.unchanged}>{count(progress.documentsUnchanged)}</Tile>
          <Tile label={text.skipped}>{count(progress.documentsSkipped)}</Tile>
          <Tile label={text.failed}>{count(progress.documentsFailed)}</Tile>
          <Tile label={text.removed}>{count(progress.documentsRemoved)}</Tile>
          <Tile label={text.passages}>{count(progress.chunks)}</Tile>
          {!hasEnded(operation) && <Tile label={text.tokens}>{count(Math.round(progress.tokensPerSecond))}</Tile>}
        </div>
      )}
      {points.length > 2 && <Throughput points={points} />}
    </div>
  );
}
