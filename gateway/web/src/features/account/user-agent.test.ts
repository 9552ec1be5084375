import { expect, test } from "vitest";
import { programOf } from "./user-agent.ts";

test.each([
  ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36", "Chrome 150 on Linux"],
  ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/149.0.0.0 Safari/537.36 Edg/149.0.0.0", "Edge 149 on Windows"],
  ["Mozilla/5.0 (Macintosh; Intel Mac OS X 15_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15", "Safari 26 on macOS"],
  ["Mozilla/5.0 (Android 16; Mobile; rv:150.0) Gecko/150.0 Firefox/150.0", "Firefox 150 on Android"],
  ["semantik/0.1.0 grpc-python-asyncio/1.85.1", "semantik/0.1.0 grpc-python-asyncio/1.85.1"],
  ["", "a program without a name"],
])("%s", (userAgent, said) => expect(programOf(userAgent)).toBe(said));
