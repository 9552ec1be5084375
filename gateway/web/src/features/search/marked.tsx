/** A text with what matches marked. */

import { Fragment, type ReactNode } from "react";
import type { Highlight } from "@semantik/client";

/** Cuts a text at places counted in characters, of which a string may have two units each. */
export function cut(text: string, marks: readonly Pick<Highlight, "start" | "end">[]): { text: string; isMarked: boolean }[] {
  const characters = Array.from(text);
  const parts: { text: string; isMarked: boolean }[] = [];
  let at = 0;
  for (const { start, end } of marks.toSorted((a, b) => a.start - b.start)) {
    if (start < at || end <= start) continue;
    if (start > at) parts.push({ text: characters.slice(at, start).join(""), isMarked: false });
    parts.push({ text: characters.slice(start, end).join(""), isMarked: true });
    at = Math.min(end, characters.length);
  }
  if (at < characters.length) parts.push({ text: characters.slice(at).join(""), isMarked: false });
  return parts;
}

export function Marked({ text, marks }: { text: string; marks: readonly Pick<Highlight, "start" | "end">[] }): ReactNode {
  return cut(text, marks).map((part, index) => (part.isMarked ? <mark key={index}>{part.text}</mark> : <Fragment key={index}>{part.text}</Fragment>));
}
