/** Where the documents of a collection come from. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { semantikError, Source_Kind, timestampDate, type Source } from "@semantik/client";
import { written } from "../../app/form.ts";
import { count, since, size } from "../../app/format.ts";
import { semantik } from "../../app/semantik.ts";
import { Button, Confirm, Failure, Field, Skeleton } from "../../design/index.tsx";
import { text } from "../collections/messages.ts";

export function Sources({ collectionId, isWritable }: { collectionId: string; isWritable: boolean }) {
  const queries = useQueryClient();
  const list = useQuery({
    queryKey: ["sources", collectionId],
    queryFn: async ({ signal }) => (await semantik.sources.listSources({ collectionId, pageSize: 200 }, { signal })).sources,
    refetchInterval: 10_000,
  });
  const refresh = () => void queries.invalidateQueries();
  const add = useMutation({
    mutationFn: (path: string) =>
      semantik.sources.addSource({ collectionId, requestId: crypto.randomUUID(), config: { case: "directory", value: { path } } }),
    onError: () => undefined,
    onSuccess: refresh,
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    add.mutate(written(new FormData(event.currentTarget), "path"));
  };
  const fields = add.error ? semantikError(add.error).fields : {};
  return (
    <div className="stack">
      {isWritable && (
        <form className="card stack" onSubmit={submit}>
          {add.error && <Failure error={add.error} />}
          <Field label={text.folder} name="path" required hint={text.folderHint} autoComplete="off" spellCheck={false} wrong={fields["directory.path"]} />
          <div>
            <Button type="submit" tone="primary" disabled={add.isPending}>
              {text.addFolder}
            </Button>
          </div>
        </form>
      )}
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.isPending && <Skeleton />}
      <ul className="stack-small">
        {list.data?.map((source) => (
          <Line key={source.id} source={source} isWritable={isWritable} refresh={refresh} />
        ))}
      </ul>
    </div>
  );
}

function Line({ source, isWritable, refresh }: { source: Source; isWritable: boolean; refresh: () => void }) {
  const [isAsking, setAsking] = useState(false);
  const sync = useMutation({ mutationFn: () => semantik.sources.syncSource({ sourceId: source.id, requestId: crypto.randomUUID() }), onSuccess: refresh });
  const remove = useMutation({ mutationFn: () => semantik.sources.removeSource({ sourceId: source.id }), onSuccess: refresh });
  const isFolder = source.kind === Source_Kind.DIRECTORY;
  return (
    <li className="card spread">
      <div>
        <div className={isFolder ? "mono" : ""}>{isFolder ? source.location : text.uploads}</div>
        <div className="muted small">
          {count(source.documentCount)} {text.documents.toLowerCase()} · {size(source.sizeBytes)}
          {isFolder && ` · ${text.lastSync} ${since(source.lastSyncTime && timestampDate(source.lastSyncTime))}`}
        </div>
      </div>
      {isWritable && isFolder && (
        <div className="row">
          <Button onClick={() => sync.mutate()} disabled={sync.isPending}>
            {text.sync}
          </Button>
          <Button tone="danger" onClick={() => setAsking(true)}>
            {text.remove}
          </Button>
        </div>
      )}
      <Confirm
        title={text.remove}
        question={text.removeQuestion}
        action={text.remove}
        open={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => remove.mutate()}
      />
    </li>
  );
}
