/** The work that runs now, of everything or of one collection. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Operation_State, type Operation } from "@semantik/client";
import { collections } from "../collections/queries.ts";
import { OperationLine } from "./line.tsx";
import { text } from "./messages.ts";
import { runningOperations } from "./queries.ts";

const MOST = 4;

/** What runs stands before what waits. */
const byState = (left: Operation, right: Operation): number =>
  Number(left.state === Operation_State.QUEUED) - Number(right.state === Operation_State.QUEUED);

export function Running({ collectionId = "" }: { collectionId?: string }) {
  const running = useQuery(runningOperations(collectionId));
  const names = useQuery(collections);
  if (!running.data?.length) return null;
  return (
    <section className="stack-small" aria-label={text.running}>
      <h2>{text.running}</h2>
      <ul className="card stack">
        {running.data.toSorted(byState).slice(0, MOST).map((each) => (
          <OperationLine key={each.id} known={each} collectionName={collectionId ? undefined : names.data?.find(({ id }) => id === each.collectionId)?.name} />
        ))}
        {running.data.length > MOST && (
          <li>
            <Link to="/operations">{text.more(running.data.length - MOST)}</Link>
          </li>
        )}
      </ul>
    </section>
  );
}
