/** The caller's own account and sessions. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { timestampDate, User_Role } from "@semantik/client";
import { since } from "../../app/format.ts";
import { semantik } from "../../app/semantik.ts";
import { Badge, Button, Confirm, Failure, Skeleton } from "../../design/index.tsx";
import { text } from "./messages.ts";
import { programOf } from "./user-agent.ts";

export function Profile() {
  const queries = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const me = useQuery({ queryKey: ["me"], queryFn: () => semantik.users.getMe({}) });
  const sessions = useQuery({ queryKey: ["sessions"], queryFn: () => semantik.users.listSessions({ pageSize: 200 }) });
  const end = useMutation({
    mutationFn: (sessionId: string) => semantik.users.revokeSession({ sessionId }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["sessions"] }),
  });
  const endAll = useMutation({
    mutationFn: async () => {
      const others = (sessions.data?.sessions ?? []).filter((session) => !session.isCurrent);
      await Promise.all(others.map((session) => semantik.users.revokeSession({ sessionId: session.id })));
      await semantik.session.signOut();
    },
  });
  const user = me.data?.user;
  return (
    <div className="stack">
      <h1>{text.profile}</h1>
      {me.error && <Failure error={me.error} retry={() => void me.refetch()} />}
      {user ? (
        <dl className="facts card">
          <dt>{text.username}</dt>
          <dd>{user.username}</dd>
          <dt>{text.email}</dt>
          <dd>{user.email}</dd>
          <dt>{text.role}</dt>
          <dd>{User_Role[user.role].toLowerCase().replace("_", " ")}</dd>
          <dt>{text.since}</dt>
          <dd>{user.createTime && timestampDate(user.createTime).toLocaleDateString()}</dd>
        </dl>
      ) : (
        <Skeleton />
      )}
      <div className="spread">
        <h2>{text.sessions}</h2>
        <Button tone="danger" onClick={() => setAsking(true)}>
          {text.endAll}
        </Button>
      </div>
      {sessions.error && <Failure error={sessions.error} retry={() => void sessions.refetch()} />}
      <ul className="card stack-small">
        {sessions.data?.sessions.map((session) => (
          <li key={session.id} className="spread">
            <div>
              <div title={session.userAgent}>{programOf(session.userAgent)}</div>
              <div className="muted small">
                {session.address} · {text.lastUsed} {since(session.lastUsedTime && timestampDate(session.lastUsedTime))}
              </div>
            </div>
            {session.isCurrent ? <Badge tone="good">{text.here}</Badge> : <Button onClick={() => end.mutate(session.id)}>{text.end}</Button>}
          </li>
        ))}
      </ul>
      <Confirm
        title={text.endAll}
        question={text.endAllQuestion}
        action={text.endAll}
        open={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => endAll.mutate()}
      />
    </div>
  );
}
