/** The program of a session, in the words that people have for it. */

import { text } from "./messages.ts";

// The first that matches: browsers name the ones that they descend from, too.
const PROGRAMS: readonly [RegExp, string][] = [
  [/Edg(?:e|A|iOS)?\/(\d+)/, "Edge"],
  [/OPR\/(\d+)/, "Opera"],
  [/(?:Firefox|FxiOS)\/(\d+)/, "Firefox"],
  [/(?:Headless)?Chrom(?:e|ium)\/(\d+)|CriOS\/(\d+)/, "Chrome"],
  [/Version\/(\d+)[\d.]* .*Safari/, "Safari"],
];
const SYSTEMS: readonly [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/CrOS/, "ChromeOS"],
  [/Linux/, "Linux"],
];

/** Returns `Firefox 140 on Linux`, or what a program called itself. */
export function programOf(userAgent: string): string {
  for (const [pattern, name] of PROGRAMS) {
    const match = pattern.exec(userAgent);
    if (!match) continue;
    const system = SYSTEMS.find(([known]) => known.test(userAgent))?.[1];
    const program = `${name} ${match[1] ?? match[2] ?? ""}`.trim();
    return system ? text.programOn(program, system) : program;
  }
  return userAgent || text.unknownProgram;
}
