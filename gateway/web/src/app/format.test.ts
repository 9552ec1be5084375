import { expect, test } from "vitest";
import { duration, since, size } from "./format.ts";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1_500, "1.5 kB"],
  [15_000_000n, "15 MB"],
])("%s bytes are %s", (bytes, said) => expect(size(bytes)).toBe(said));

test.each([
  [12, "12 ms"],
  [59_400, "59 s"],
  [61_000, "1 min 1 s"],
  [3_720_000, "1 h 2 min"],
])("%s milliseconds are %s", (ms, said) => expect(duration(ms)).toBe(said));

test("a moment is said by its distance", () => {
  const now = Date.UTC(2026, 1, 1);
  expect(since(new Date(now - 30_000), now)).toBe("just now");
  expect(since(new Date(now - 7_200_000), now)).toBe("2 hours ago");
  expect(since(undefined, now)).toBe("never");
});
