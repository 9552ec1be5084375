/** The documents of a collection: filtered, any number of them. */

import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef } from "react";
import { Document_Reason, Document_State, type Document } from "@semantik/client";
import { size } from "../../app/format.ts";
import { semantik } from "../../app/semantik.ts";
import { Badge, Button, Empty, Failure, Skeleton } from "../../design/index.tsx";
import { DOCUMENT_STATES, REASONS, text } from "../collections/messages.ts";
import "./documents.css";

const PAGE = 200;
const ROW = 44;
const STATES = {
  indexed: [Document_State.INDEXED],
  skipped: [Document_State.SKIPPED],
  failed: [Document_State.FAILED],
  waiting: [Document_State.PENDING, Document_State.PROCESSING],
};
type State = keyof typeof STATES;

export function Documents({ collectionId, isWritable }: { collectionId: string; isWritable: boolean }) {
  const { state, path = "" } = useSearch({ from: "/shell/collections/$collectionId" });
  const navigate = useNavigate();
  const list = useInfiniteQuery({
    queryKey: ["documents", collectionId, state, path],
    queryFn: ({ pageParam, signal }) =>
      semantik.documents.listDocuments(
        { collectionId, states: state ? STATES[state] : [], pathPrefix: path, pageSize: PAGE, pageToken: pageParam },
        { signal },
      ),
    initialPageParam: "",
    getNextPageParam: (last) => last.nextPageToken || undefined,
    refetchInterval: ({ state: { data } }) => (data && data.pages.length < 3 ? 5_000 : false),
  });
  const change = (values: { state?: State | undefined; path?: string }) =>
    void navigate({ to: "/collections/$collectionId", params: { collectionId }, search: clean({ state, path, ...values }), replace: true });
  const documents = list.data?.pages.flatMap((page) => page.documents) ?? [];
  return (
    <div className="stack-small">
      <div className="row">
        <label className="hidden" htmlFor="document-state">
          {text.state}
        </label>
        <select id="document-state" className="input" style={{ width: "auto" }} value={state ?? ""} onChange={(event) => change({ state: (event.target.value || undefined) as State | undefined })}>
          <option value="">{text.all}</option>
          {Object.keys(STATES).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
        <label className="hidden" htmlFor="document-path">
          {text.pathFilter}
        </label>
        <input id="document-path" className="input" placeholder={text.pathFilter} defaultValue={path} onChange={(event) => change({ path: event.target.value })} />
      </div>
      {list.error && <Failure error={list.error} retry={() => void list.refetch()} />}
      {list.isPending ? (
        <Skeleton lines={8} />
      ) : documents.length === 0 ? (
        <div className="card">
          <Empty title={text.noDocuments}>{isWritable && text.noDocumentsHint}</Empty>
        </div>
      ) : (
        <Rows documents={documents} isWritable={isWritable} more={() => void list.fetchNextPage()} hasMore={list.hasNextPage && !list.isFetchingNextPage} />
      )}
    </div>
  );
}

function Rows({ documents, isWritable, more, hasMore }: { documents: Document[]; isWritable: boolean; more: () => void; hasMore: boolean }) {
  const box = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({ count: documents.length, getScrollElement: () => box.current, estimateSize: () => ROW, overscan: 12 });
  const shown = rows.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && last > documents.length - PAGE / 2) more();
  }, [hasMore, last, documents.length, more]);
  return (
    <div ref={box} className="card documents" role="list" aria-label={text.documents}>
      <div className="sheet" style={{ height: rows.getTotalSize() }}>
        {shown.map((row) => (
          <Line key={row.key} document={documents[row.index] as Document} top={row.start} isWritable={isWritable} />
        ))}
      </div>
    </div>
  );
}

function Line({ document, top, isWritable }: { document: Document; top: number; isWritable: boolean }) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => semantik.documents.deleteDocument({ documentId: document.id }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["documents"] }),
  });
  const [tone, state] = DOCUMENT_STATES[document.state];
  const reason = document.reason === Document_Reason.UNSPECIFIED ? "" : REASONS[document.reason];
  return (
    <div className="line" role="listitem" style={{ transform: `translateY(${top}px)` }}>
      <Link to="/documents/$documentId" params={{ documentId: document.id }} className="one-line" title={document.path}>
        {document.path}
      </Link>
      <span className="one-line" title={document.errorMessage || reason}>
        <Badge tone={tone}>{state}</Badge> <span className="muted small">{reason}</span>
      </span>
      <span className="muted number" style={{ textAlign: "right" }}>
        {size(document.sizeBytes)}
      </span>
      {isWritable ? (
        <Button tone="plain" aria-label={`${text.deleteDocument} ${document.path}`} disabled={remove.isPending} onClick={() => remove.mutate()}>
          {text.deleteDocument}
        </Button>
      ) : (
        <span />
      )}
    </div>
  );
}

function clean(values: { state?: State | undefined; path?: string }): { state?: State; path?: string } {
  return { ...(values.state && { state: values.state }), ...(values.path && { path: values.path }) };
}
