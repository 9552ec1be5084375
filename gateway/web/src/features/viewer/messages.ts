/** Texts of the viewer. */

export const text = {
  download: "Download the original",
  asText: "Text",
  formatted: "Formatted",
  noText: "There is no text of this document",
  noTextHint: "It was not indexed; its original can be downloaded.",
  similar: "Similar passages",
  cut: (shown: string) => `Only the first ${shown} characters are shown. Download the original for the rest.`,
};
