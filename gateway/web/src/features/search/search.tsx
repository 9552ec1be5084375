/** The search: as you type, its whole state in the address. */

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState, type KeyboardEvent } from "react";
import { durationMs, SearchMode, type Hit } from "@semantik/client";
import type { SearchParameters } from "../../app/router.tsx";
import { semantik } from "../../app/semantik.ts";
import { Empty, Failure, Skeleton } from "../../design/index.tsx";
import { collections } from "../collections/queries.ts";
import { Hits } from "./hits.tsx";
import { text } from "./messages.ts";
import "./search.css";

const PAUSE_MS = 30;
const LIMIT = 20;
const MODES = { meaning: SearchMode.SEMANTIC, words: SearchMode.KEYWORD } as const;

function useSettled<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

export function Search() {
  const parameters = useSearch({ from: "/shell/search" });
  const navigate = useNavigate();
  const box = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(parameters.q ?? "");
  const [selected, setSelected] = useState(0);
  // Enter was pressed before what is shown was of what is typed.
  const [isAwaited, setAwaited] = useState(false);
  const query = useSettled(typed.trim(), PAUSE_MS);
  const list = useQuery(collections);
  const change = (values: SearchParameters) => void navigate({ to: "/search", search: clean({ ...parameters, ...values }), replace: true });

  // The address follows what is typed, once it has settled.
  useEffect(() => {
    if (query !== (parameters.q ?? "")) change({ q: query });
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [query]);
  useEffect(() => {
    box.current?.focus();
  }, []);

  const found = useQuery({
    queryKey: ["search", query, parameters.in, parameters.mode, parameters.filter],
    queryFn: ({ signal }) =>
      semantik.search.search(
        {
          query,
          collectionIds: parameters.in ? [parameters.in] : [],
          mode: parameters.mode ? MODES[parameters.mode] : SearchMode.HYBRID,
          filterText: parameters.filter ?? "",
          limit: LIMIT,
        },
        { signal },
      ),
    enabled: query !== "",
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });
  const isSettled = query === typed.trim() && !found.isPlaceholderData && !found.isPending;
  const hits = query ? (found.data?.hits ?? []) : [];
  const open = (hit: Hit | undefined) =>
    hit &&
    void navigate({
      to: "/documents/$documentId",
      params: { documentId: hit.documentId },
      search: { from: Number(hit.startOffset), to: Number(hit.endOffset) },
    });
  const press = (event: KeyboardEvent) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step) {
      event.preventDefault();
      setSelected((before) => Math.max(0, Math.min(hits.length - 1, before + step)));
    } else if (event.key === "Enter" && isSettled) open(hits[selected]);
    else if (event.key === "Enter") setAwaited(true);
  };
  useEffect(() => {
    if (!isAwaited || !isSettled) return;
    setAwaited(false);
    open(hits[0]);
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [isAwaited, isSettled]);
  const times = found.data?.timings;
  const ms = (value: Parameters<typeof durationMs>[0] | undefined) => (value ? Math.round(durationMs(value)) : 0);
  return (
    <div>
      <h1 className="hidden">{text.search}</h1>
      <div className="search-box" role="search">
        <label className="hidden" htmlFor="query">
          {text.placeholder}
        </label>
        <input
          ref={box}
          id="query"
          type="search"
          className="input"
          placeholder={text.placeholder}
          value={typed}
          autoComplete="off"
          onChange={(event) => {
            setTyped(event.target.value);
            setSelected(0);
          }}
          onKeyDown={press}
          aria-controls={hits.length > 0 ? "hits" : undefined}
        />
        <div className="options">
          <select className="input" aria-label={text.where} value={parameters.in ?? ""} onChange={(event) => change({ in: event.target.value })}>
            <option value="">{text.everywhere}</option>
            {list.data?.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
          <select
            className="input"
            aria-label={text.how}
            value={parameters.mode ?? ""}
            onChange={(event) => change({ mode: (event.target.value || undefined) as "meaning" | "words" })}
          >
            <option value="">{text.both}</option>
            <option value="meaning">{text.meaning}</option>
            <option value="words">{text.words}</option>
          </select>
          <input
            className="input"
            aria-label={text.filter}
            placeholder={`${text.filter}: ${text.filterHint}`}
            defaultValue={parameters.filter ?? ""}
            spellCheck={false}
            onKeyDown={(event) => event.key === "Enter" && change({ filter: event.currentTarget.value })}
            onBlur={(event) => event.target.value !== (parameters.filter ?? "") && change({ filter: event.target.value })}
          />
        </div>
        {query && times && (
          <p className="muted small number" title={text.stages(ms(times.authorize), ms(times.embed), ms(times.query))} aria-live="polite">
            {text.found(hits.length)} · {ms(times.total)} {text.took}
          </p>
        )}
      </div>
      {found.error && query && <Failure error={found.error} retry={() => void found.refetch()} />}
      {!query && <Empty title={text.start}>{text.startHint}</Empty>}
      {query && found.isPending && <Skeleton lines={6} />}
      {query && found.data && hits.length === 0 && !found.isPlaceholderData && <Empty title={text.nothing}>{text.nothingHint}</Empty>}
      {hits.length > 0 && <Hits hits={hits} selected={selected} onSelect={setSelected} onOpen={open} names={new Map(list.data?.map(({ id, name }) => [id, name]))} />}
    </div>
  );
}

function clean(values: SearchParameters): SearchParameters {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value)) as SearchParameters;
}
