import type { Highlight } from "@semantik/client";
import { expect, test } from "vitest";
import { excerpt } from "./hits.tsx";
import { cut } from "./marked.tsx";

const passage = `${"a ".repeat(50)}tide follows the moon`;

test("an excerpt begins a little before the first match, and marks the same words", () => {
  const { text, marks } = excerpt({ text: passage, highlights: [{ start: 100, end: 104 } as Highlight] });
  expect(text.startsWith("…a ")).toBe(true);
  expect(text.length).toBe(1 + 40 + "tide follows the moon".length);
  expect(cut(text, marks).filter(({ isMarked }) => isMarked).map((part) => part.text)).toEqual(["tide"]);
});

test("a passage without matches is shown from its beginning", () => {
  expect(excerpt({ text: passage, highlights: [] })).toEqual({ text: passage, marks: [] });
});
