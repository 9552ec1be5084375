import { expect, test } from "vitest";
import { cut } from "./marked.tsx";

const marked = (text: string, ...marks: [number, number][]) =>
  cut(text, marks.map(([start, end]) => ({ start, end }))).map(({ text: part, isMarked }) => (isMarked ? `[${part}]` : part)).join("");

test("marks are cut by characters, not by units of UTF-16", () => expect(marked("a 😀 tide 𝒳", [4, 8], [9, 10])).toBe("a 😀 [tide] [𝒳]"));
test("marks in any order, and such that overlap or are empty", () => expect(marked("abcdef", [4, 6], [0, 2], [1, 3], [3, 3])).toBe("[ab]cd[ef]"));
test("a mark past the end loses nothing", () => expect(marked("abc", [1, 99])).toBe("a[bc]"));
test("markup stays text", () => expect(marked("<b>x</b>", [3, 4])).toBe("<b>[x]</b>"));
