/** The work that runs now, of everything or of one collection. */

import { useQuery } from "@tanstack/react-query";
import { collections } from "../collections/queries.ts";
import { OperationLine } from "./line.tsx";
import { text } from "./messages.ts";
import { runningOperations } from "./queries.ts";

export function Running({ collectionId = "" }: { collectionId?: string }) {
  const running = useQuery(runningOperations(collectionId));
  const names = useQuery(collections);
  if (!running.data?.length) return null;
  return (
    <section className="stack-small" aria-label={text.running}>
      <h2>{text.running}</h2>
      <ul className="card stack">
        {running.data.map((each) => (
          <OperationLine key={each.id} known={each} collectionName={collectionId ? undefined : names.data?.find(({ id }) => id === each.collectionId)?.name} />
        ))}
      </ul>
    </section>
  );
}
