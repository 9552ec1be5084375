/** Texts of the search. */

export const text = {
  search: "Search",
  placeholder: "Search by meaning and by words",
  everywhere: "All collections",
  where: "Where to search",
  how: "How to search",
  both: "Meaning and words",
  meaning: "Meaning",
  words: "Words",
  filter: "Filter",
  filterHint: 'path:reports/ modified>2026-01-01 "exact phrase" -draft',
  start: "What are you looking for?",
  startHint: "Write a question, a few words, or a name. Use ↑ and ↓ to go through what is found, and Enter to open it.",
  nothing: "Nothing was found",
  nothingHint: "Try other words, all collections, or a search by meaning alone.",
  weak: "weak match",
  open: "Open",
  page: "page",
  took: "ms",
  found: (number: number) => (number === 1 ? "1 passage" : `${number} passages`),
  stages: (authorize: number, embed: number, query: number) => `permission ${authorize} ms, embedding ${embed} ms, index ${query} ms`,
};
