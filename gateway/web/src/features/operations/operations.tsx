/** All work, newest first. */

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { hasEnded, timestampDate } from "@semantik/client";
import { since } from "../../app/format.ts";
import { Badge, Empty, Failure, Meter, Skeleton } from "../../design/index.tsx";
import { collections } from "../collections/queries.ts";
import { details } from "./line.tsx";
import { KINDS, STATES, text } from "./messages.ts";
import { recentOperations } from "./queries.ts";
import { share } from "./watching.ts";

export function Operations() {
  const list = useQuery(recentOperations);
  const names = useQuery(collections);
  return (
    <div className="stack">
      <h1>{text.operations}</h1>
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.isPending && <Skeleton lines={5} />}
      {list.data?.length === 0 && <Empty title={text.none}>{text.noneHint}</Empty>}
      {list.data && list.data.length > 0 && (
        <div className="card scroll-x">
          <table className="table">
            <thead>
              <tr>
                <th>{text.kind}</th>
                <th className="wide-only">{text.collection}</th>
                <th>{text.state}</th>
                <th>{text.progress}</th>
                <th className="number wide-only">{text.started}</th>
              </tr>
            </thead>
            <tbody>
              {list.data.map((each) => {
                const [tone, state] = STATES[each.state];
                return (
                  <tr key={each.id}>
                    <td>
                      <Link to="/operations/$operationId" params={{ operationId: each.id }}>
                        {KINDS[each.kind]}
                      </Link>
                    </td>
                    <td className="wide-only">{names.data?.find(({ id }) => id === each.collectionId)?.name}</td>
                    <td>
                      <Badge tone={tone}>{state}</Badge>
                    </td>
                    <td>
                      {!hasEnded(each) && <Meter value={share(each)} label={KINDS[each.kind]} />}
                      <span className="muted small">{details(each)}</span>
                    </td>
                    <td className="number muted wide-only">{since(each.createTime && timestampDate(each.createTime))}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
