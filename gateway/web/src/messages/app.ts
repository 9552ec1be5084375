/** Texts of every page. */

export const text = {
  name: "Semantik",
  home: "Home",
  search: "Search",
  operations: "Operations",
  models: "Models",
  profile: "Profile",
  signOut: "Sign out",
  loading: "Loading",
  tryAgain: "Try again",
  cancel: "Cancel",
  save: "Save",
  close: "Close",
  theme: "Light or dark",
  skip: "Skip to content",
  shortcuts: "Keyboard shortcuts",
  notFound: "There is no such page",
  notFoundHint: "The address may be wrong, or what it named is gone.",
  toHome: "Go home",
  stale: "Reconnecting; what you see may be out of date.",
};
