/** A document: its text with the hit marked, or formatted. */

import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { count, size } from "../../app/format.ts";
import { semantik } from "../../app/semantik.ts";
import { Badge, Button, Empty, Failure, Skeleton } from "../../design/index.tsx";
import { DOCUMENT_STATES, REASONS } from "../collections/messages.ts";
import { cut } from "../search/marked.tsx";
import { text } from "./messages.ts";
import "./viewer.css";

const Markdown = lazy(() => import("./markdown.tsx"));
/** More than a browser lays out without a pause. */
const MOST = 1_000_000;
const CODE = /json|yaml|xml|javascript|x-|csv|toml|sql/;

/** Hands a file to the browser to save; it is never shown in place, where it could run. */
function save(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

export function Viewer() {
  const { documentId } = useParams({ from: "/shell/documents/$documentId" });
  const { from, to } = useSearch({ from: "/shell/documents/$documentId" });
  const [isFormatted, setFormatted] = useState(false);
  const found = useQuery({
    queryKey: ["document", documentId],
    queryFn: async ({ signal }) => (await semantik.documents.getDocument({ documentId }, { signal })).document,
  });
  const content = useQuery({
    queryKey: ["content", documentId],
    queryFn: async ({ signal }) => (await semantik.uploads.content(documentId, "TEXT", signal)).text(),
    staleTime: Number.POSITIVE_INFINITY,
  });
  const download = useMutation({
    mutationFn: async () => save(await semantik.uploads.content(documentId, "ORIGINAL"), found.data?.name ?? "document"),
  });
  const shown = found.data;
  if (found.error) return <Failure error={found.error} retry={() => void found.refetch()} />;
  if (!shown) return <Skeleton lines={8} />;
  const [tone, state] = DOCUMENT_STATES[shown.state];
  const isMarkdown = shown.mimeType === "text/markdown";
  return (
    <div className="stack">
      <div className="spread">
        <div className="row">
          <h1>{shown.name}</h1>
          <Badge tone={tone}>{state}</Badge>
        </div>
        <div className="row">
          {isMarkdown && <Button onClick={() => setFormatted(!isFormatted)}>{isFormatted ? text.asText : text.formatted}</Button>}
          <Button onClick={() => download.mutate()} disabled={download.isPending}>
            {text.download}
          </Button>
        </div>
      </div>
      <p className="muted small">
        <Link to="/collections/$collectionId" params={{ collectionId: shown.collectionId }} className="underlined">
          {shown.path}
        </Link>{" "}
        · {shown.mimeType} · {size(shown.sizeBytes)} {REASONS[shown.reason] && `· ${REASONS[shown.reason]}`} {shown.errorMessage && `· ${shown.errorMessage}`}
      </p>
      {content.isPending && <Skeleton lines={10} />}
      {content.error && <Empty title={text.noText}>{text.noTextHint}</Empty>}
      {content.data !== undefined &&
        (isFormatted ? (
          <Suspense fallback={<Skeleton lines={10} />}>
            <article className="card document markdown">
              <Markdown text={content.data.slice(0, MOST)} />
            </article>
          </Suspense>
        ) : (
          <Text content={content.data} isCode={CODE.test(shown.mimeType)} mark={from !== undefined && to !== undefined ? { start: from, end: to } : { start: 0, end: to ?? 0 }} />
        ))}
    </div>
  );
}

function Text({ content, isCode, mark }: { content: string; isCode: boolean; mark: { start: number; end: number } }) {
  const hit = useRef<HTMLElement>(null);
  useEffect(() => {
    hit.current?.scrollIntoView({ block: "center" });
  }, [content, mark.start]);
  const parts = cut(content.slice(0, MOST), [mark]);
  return (
    <article className="card document">
      {content.length > MOST && <div className="notice warn">{text.cut(count(MOST))}</div>}
      <pre className={`text ${isCode ? "code" : ""}`}>
        {parts.map((part, index) =>
          part.isMarked ? (
            <mark key={index} ref={hit}>
              {part.text}
            </mark>
          ) : (
            <span key={index}>{part.text}</span>
          ),
        )}
      </pre>
    </article>
  );
}
