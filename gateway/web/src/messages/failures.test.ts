import { Code, reasons, SemantikError } from "@semantik/client";
import { expect, test } from "vitest";
import { sentence, sentences } from "./failures.ts";

test("each reason of the contract has a sentence, and no other", () => {
  expect(Object.keys(sentences).toSorted()).toEqual([...reasons].toSorted());
});

test("a lost connection is said in words", () => {
  expect(sentence(new SemantikError(Code.Unavailable, "", "fetch failed")).message).toContain("cannot be reached");
});
