/** The pages and their addresses. Each is loaded when it is first opened. */

import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Link, Outlet, redirect } from "@tanstack/react-router";
import { semantikError } from "@semantik/client";
import { Empty, Failure, Skeleton } from "../design/index.tsx";
import { text } from "../messages/app.ts";
import { semantik } from "./semantik.ts";
import { Shell } from "./shell.tsx";
import { Toasts } from "./toasts.tsx";

export interface SearchParameters {
  q?: string;
  in?: string;
  mode?: "meaning" | "words";
  filter?: string;
}

export interface DocumentParameters {
  state?: "indexed" | "skipped" | "failed" | "waiting";
  path?: string;
}

const root = createRootRoute({
  component: () => (
    <>
      <Outlet />
      <Toasts />
    </>
  ),
  notFoundComponent: () => (
    <main className="alone">
      <Empty level={1} title={text.notFound} action={<Link to="/">{text.toHome}</Link>}>
        {text.notFoundHint}
      </Empty>
    </main>
  ),
});

const TRIES = 30;
const PAUSE_MS = 1000;

/** Goes on with the session of this browser; a mesh that is starting is waited for. */
async function resume(): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    try {
      await semantik.session.resume();
      return;
    } catch (error) {
      if (tried === TRIES || !semantikError(error).isPassing) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

async function needSession(address: string): Promise<void> {
  if (semantik.session.state === "unknown") await resume();
  if (semantik.session.state !== "signed-in") throw redirect({ to: "/sign-in", search: { next: address } });
}

/** The router reads `q=2026` as a number, and `q=true` as no text either. */
function words(value: unknown): string | undefined {
  const isText = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  return isText ? String(value) || undefined : undefined;
}

function one<T extends string>(value: unknown, ...allowed: T[]): T | undefined {
  return allowed.find((each) => each === value);
}

/** Leaves out what is undefined. */
function given<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search: Record<string, unknown>): { next?: string } => given({ next: words(search.next) }) as { next?: string },
  component: lazyRouteComponent(() => import("../features/account/sign-in.tsx"), "SignIn"),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "shell",
  beforeLoad: ({ location }) => needSession(location.href),
  component: Shell,
});

const pages = [
  createRoute({ getParentRoute: () => shell, path: "/", component: lazyRouteComponent(() => import("../features/home/home.tsx"), "Home") }),
  createRoute({
    getParentRoute: () => shell,
    path: "/search",
    validateSearch: (search: Record<string, unknown>): SearchParameters =>
      given({ q: words(search.q), in: words(search.in), mode: one(search.mode, "meaning", "words"), filter: words(search.filter) }) as SearchParameters,
    component: lazyRouteComponent(() => import("../features/search/search.tsx"), "Search"),
  }),
  createRoute({
    getParentRoute: () => shell,
    path: "/collections/$collectionId",
    validateSearch: (search: Record<string, unknown>): DocumentParameters & { tab?: "sources" | "settings" } =>
      given({
        tab: one(search.tab, "sources", "settings"),
        state: one(search.state, "indexed", "skipped", "failed", "waiting"),
        path: words(search.path),
      }) as DocumentParameters & { tab?: "sources" | "settings" },
    component: lazyRouteComponent(() => import("../features/collections/collection.tsx"), "CollectionPage"),
  }),
  createRoute({
    getParentRoute: () => shell,
    path: "/documents/$documentId",
    validateSearch: (search: Record<string, unknown>): { from?: number; to?: number } =>
      given({ from: Number(search.from) || undefined, to: Number(search.to) || undefined }) as { from?: number; to?: number },
    component: lazyRouteComponent(() => import("../features/viewer/viewer.tsx"), "Viewer"),
  }),
  createRoute({
    getParentRoute: () => shell,
    path: "/operations",
    component: lazyRouteComponent(() => import("../features/operations/operations.tsx"), "Operations"),
  }),
  createRoute({
    getParentRoute: () => shell,
    path: "/operations/$operationId",
    component: lazyRouteComponent(() => import("../features/operations/operation.tsx"), "OperationPage"),
  }),
  createRoute({ getParentRoute: () => shell, path: "/models", component: lazyRouteComponent(() => import("../features/models/models.tsx"), "Models") }),
  createRoute({
    getParentRoute: () => shell,
    path: "/profile",
    component: lazyRouteComponent(() => import("../features/account/profile.tsx"), "Profile"),
  }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren([signIn, shell.addChildren(pages)]),
  defaultPreload: "intent",
  defaultPendingComponent: () => <Skeleton lines={6} />,
  defaultErrorComponent: ({ error, reset }) => <Failure error={error} retry={reset} />,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
