/** Starts the app. */

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { router } from "./app/router.tsx";
import { semantik } from "./app/semantik.ts";
import { restoreTheme } from "./app/theme.ts";
import { tellFailure } from "./app/toasts.tsx";
import "./design/tokens.css";
import "./design/base.css";
import "./design/components.css";

restoreTheme();
// Calls are repeated by the client, which knows which may be, and made without a network too: the mesh may be on this machine.
const queries = new QueryClient({
  defaultOptions: { queries: { retry: false, networkMode: "always", staleTime: 5_000 }, mutations: { retry: false, networkMode: "always", onError: tellFailure } },
});
let lastUserId = "";
semantik.session.subscribe(() => {
  const { userId } = semantik.session;
  if (lastUserId && !userId) {
    queries.clear();
    void router.navigate({ to: "/sign-in", search: {} });
  } else if (lastUserId && userId !== lastUserId) {
    // Another tab signed another user in: what is shown was the last one's.
    void queries.resetQueries();
  }
  lastUserId = userId;
});

createRoot(document.getElementById("root") as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
