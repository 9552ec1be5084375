/** The collections, and the work that runs. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { timestampDate } from "@semantik/client";
import { count, since, size } from "../../app/format.ts";
import { Badge, Button, Empty, Failure, Skeleton } from "../../design/index.tsx";
import { CreateCollection } from "../collections/create.tsx";
import { COLLECTION_STATES, text } from "../collections/messages.ts";
import { collections } from "../collections/queries.ts";
import { Running } from "../operations/running.tsx";

export function Home() {
  const [isCreating, setCreating] = useState(false);
  const list = useQuery(collections);
  const create = (
    <Button tone="primary" onClick={() => setCreating(true)}>
      {text.create}
    </Button>
  );
  return (
    <div className="stack">
      <div className="spread">
        <h1>{text.collections}</h1>
        {list.data && list.data.length > 0 && create}
      </div>
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.isPending && <Skeleton lines={4} />}
      {list.data?.length === 0 && (
        <div className="card">
          <Empty title={text.none} action={create}>
            {text.noneHint}
          </Empty>
        </div>
      )}
      {list.data && list.data.length > 0 && (
        <div className="card scroll-x">
          <table className="table">
            <thead>
              <tr>
                <th>{text.name}</th>
                <th>{text.state}</th>
                <th className="number">{text.documents}</th>
                <th className="number wide-only">{text.chunks}</th>
                <th className="number wide-only">{text.size}</th>
                <th className="number wide-only">{text.updated}</th>
              </tr>
            </thead>
            <tbody>
              {list.data.map((each) => {
                const [tone, state] = COLLECTION_STATES[each.state];
                return (
                  <tr key={each.id}>
                    <td>
                      <Link to="/collections/$collectionId" params={{ collectionId: each.id }}>
                        {each.name}
                      </Link>
                      {each.description && <div className="muted small one-line">{each.description}</div>}
                    </td>
                    <td>
                      <Badge tone={tone}>{state}</Badge>
                    </td>
                    <td className="number">{count(each.documentCount)}</td>
                    <td className="number wide-only">{count(each.chunkCount)}</td>
                    <td className="number wide-only">{size(each.sizeBytes)}</td>
                    <td className="number muted wide-only">{since(each.updateTime && timestampDate(each.updateTime))}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      <Running />
      <CreateCollection open={isCreating} onClose={() => setCreating(false)} />
    </div>
  );
}
