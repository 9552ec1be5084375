/** What a search found, with the selected passage beside the list. */

import { useEffect, useRef } from "react";
import type { Hit } from "@semantik/client";
import { Badge, Button } from "../../design/index.tsx";
import { Marked } from "./marked.tsx";
import { text } from "./messages.ts";

/** Characters that an excerpt shows before what it is about. */
const BEFORE = 40;

interface Props {
  hits: Hit[];
  selected: number;
  onSelect: (index: number) => void;
  onOpen: (hit: Hit) => void;
  names: ReadonlyMap<string, string>;
}

export function Hits({ hits, selected, onSelect, onOpen, names }: Props) {
  const current = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    current.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  const shown = hits[selected];
  return (
    <div className="hits">
      <div id="hits" role="listbox" aria-label={text.search}>
        {hits.map((hit, index) => (
          <button
            key={`${hit.documentId} ${hit.ordinal}`}
            ref={index === selected ? current : undefined}
            type="button"
            role="option"
            aria-selected={index === selected}
            tabIndex={index === selected ? 0 : -1}
            className="hit"
            onClick={() => onSelect(index)}
            onDoubleClick={() => onOpen(hit)}
          >
            <span className="row">
              <span className="title one-line">{hit.name}</span>
              {hit.isWeakMatch && <Badge>{text.weak}</Badge>}
            </span>
            <span className="muted small one-line">{where(hit, names)}</span>
            <span className="excerpt">
              <Marked {...excerpt(hit)} />
            </span>
          </button>
        ))}
      </div>
      {shown && (
        <section className="card preview stack-small" aria-label={shown.name}>
          <div className="spread">
            <h2 className="one-line">{shown.name}</h2>
            <Button tone="primary" onClick={() => onOpen(shown)}>
              {text.open}
            </Button>
          </div>
          <p className="muted small">
            {where(shown, names)} · {shown.score.toFixed(2)}
          </p>
          <p className="passage">
            <Marked text={shown.text} marks={shown.highlights} />
          </p>
        </section>
      )}
    </div>
  );
}

/** The passage from a little before its best sentence, or its first match, on. */
export function excerpt({ text: passage, highlights, bestSentence }: Pick<Hit, "text" | "highlights"> & Partial<Pick<Hit, "bestSentence">>) {
  const first = bestSentence?.start ?? highlights[0]?.start ?? 0;
  const from = first > BEFORE ? first - BEFORE : 0;
  const marks = highlights.filter(({ start }) => start >= from).map(({ start, end }) => ({ start: start - from + (from && 1), end: end - from + (from && 1) }));
  return { text: (from ? "…" : "") + Array.from(passage).slice(from).join(""), marks };
}

function where(hit: Hit, names: ReadonlyMap<string, string>): string {
  return [names.get(hit.collectionId), hit.path, hit.page ? `${text.page} ${hit.page}` : "", hit.section].filter(Boolean).join(" · ");
}
