/** A collection: its documents, sources and settings; files dropped anywhere on the page are uploaded. */

import { useQuery } from "@tanstack/react-query";
import { Link, useParams, useSearch } from "@tanstack/react-router";
import { count, size } from "../../app/format.ts";
import { Badge, Failure, Skeleton } from "../../design/index.tsx";
import { Documents } from "../documents/documents.tsx";
import { Running } from "../operations/running.tsx";
import { Sources } from "../sources/sources.tsx";
import { DropZone } from "../uploads/drop-zone.tsx";
import { COLLECTION_STATES, text } from "./messages.ts";
import { collection, mayWrite } from "./queries.ts";
import { Settings } from "./settings.tsx";

export function CollectionPage() {
  const { collectionId } = useParams({ from: "/shell/collections/$collectionId" });
  const { tab } = useSearch({ from: "/shell/collections/$collectionId" });
  const found = useQuery(collection(collectionId));
  const shown = found.data;
  if (found.error) return <Failure error={found.error} retry={() => void found.refetch()} />;
  if (!shown) return <Skeleton lines={6} />;
  const [tone, state] = COLLECTION_STATES[shown.state];
  const isWritable = mayWrite(shown);
  const link = (value: "sources" | "settings" | undefined, label: string) => (
    <Link
      to="/collections/$collectionId"
      params={{ collectionId }}
      search={value ? { tab: value } : {}}
      className={tab === value ? "current" : ""}
      activeProps={{}}
      {...(tab === value && { "aria-current": "page" as const })}
    >
      {label}
    </Link>
  );
  return (
    <DropZone collectionId={collectionId} isOpen={isWritable}>
      <div className="stack">
        <div className="spread">
          <div className="row">
            <h1>{shown.name}</h1>
            <Badge tone={tone}>{state}</Badge>
          </div>
          <Link to="/search" search={{ in: collectionId }} className="button primary">
            {text.search}
          </Link>
        </div>
        {shown.description && <p className="muted">{shown.description}</p>}
        <p className="muted small">
          {count(shown.documentCount)} {text.documents.toLowerCase()} · {count(shown.chunkCount)} {text.chunks.toLowerCase()} · {size(shown.sizeBytes)} · {shown.model}
          {shown.stateReason && ` · ${shown.stateReason}`}
          {!isWritable && ` · ${text.readOnly}`}
        </p>
        <Running collectionId={collectionId} />
        <nav className="tabs" aria-label={shown.name}>
          {link(undefined, text.documents)}
          {link("sources", text.sources)}
          {link("settings", text.settings)}
        </nav>
        {tab === "sources" ? (
          <Sources collectionId={collectionId} isWritable={isWritable} />
        ) : tab === "settings" ? (
          <Settings collection={shown} />
        ) : (
          <Documents collectionId={collectionId} isWritable={isWritable} />
        )}
      </div>
    </DropZone>
  );
}
