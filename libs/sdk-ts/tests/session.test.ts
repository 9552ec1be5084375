import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { AuthService } from "../src/gen/semantik/auth/v1/auth_service_pb.js";
import { CollectionService } from "../src/gen/semantik/collection/v1/collection_service_pb.js";
import type { TabMessage, Tabs } from "../src/index.js";
import { failure, semantikOf, tokenOf, tokens } from "./gateway.js";

/** A gateway with one session, its refreshes counted; `refused` are tokens that it no longer takes. */
function gateway({ livesMs = 900_000, refused = [] as string[], refreshFails = undefined as Code | undefined } = {}) {
  const seen = { refreshes: 0, refreshTokens: [] as string[], transports: [] as (string | null)[], calls: [] as string[] };
  const open = (options = {}) =>
    semantikOf(({ service }) => {
      service(AuthService, {
        login: (_, context) => {
          seen.transports.push(context.requestHeader.get("x-session-transport"));
          return { tokens: tokens("a0", "r0", livesMs) };
        },
        refreshToken: (request) => {
          seen.refreshes += 1;
          seen.refreshTokens.push(request.refreshToken);
          if (refreshFails !== undefined) throw failure(refreshFails, refreshFails === Code.Unauthenticated ? "REFRESH_TOKEN_INVALID" : "DRAINING");
          return { tokens: tokens(`a${seen.refreshes}`, `r${seen.refreshes}`) };
        },
        logout: () => ({}),
      });
      service(CollectionService, {
        listCollections: (_, context) => {
          seen.calls.push(tokenOf(context));
          if (refused.includes(tokenOf(context))) throw failure(Code.Unauthenticated, "TOKEN_INVALID");
          return {};
        },
      });
    }, options);
  return { seen, open };
}

/** Tabs of one browser, in one process. */
function browser(): () => Tabs {
  const listeners: ((message: TabMessage) => void)[] = [];
  let last: Promise<unknown> = Promise.resolve();
  return () => {
    let own: ((message: TabMessage) => void) | undefined;
    return {
      exclusively: (work) => {
        const next = last.then(work, work);
        last = next.catch(() => undefined);
        return next;
      },
      tell: (message) => listeners.filter((listener) => listener !== own).forEach((listener) => listener(message)),
      listen: (listener) => {
        own = listener;
        listeners.push(listener);
      },
    };
  };
}

test("who signs in is signed in, and calls carry the token", async () => {
  const { seen, open } = gateway();
  const semantik = open();
  expect(semantik.session.state).toBe("unknown");
  await semantik.session.signIn("ada", "password");
  await semantik.collections.listCollections({});
  expect([semantik.session.state, seen.calls, seen.transports]).toEqual(["signed-in", ["a0"], [null]]);
});

test("a page asks for a cookie, and keeps no refresh token", async () => {
  const { seen, open } = gateway({ livesMs: 1_000 });
  const semantik = open({ cookies: true });
  await semantik.session.signIn("ada", "password");
  await semantik.collections.listCollections({});
  expect([seen.transports, seen.refreshTokens]).toEqual([["cookie"], [""]]);
});

test("a token is renewed before its end, once for all calls that wait", async () => {
  const { seen, open } = gateway({ livesMs: 1_000 });
  const semantik = open();
  await semantik.session.signIn("ada", "password");
  await Promise.all([1, 2, 3].map(() => semantik.collections.listCollections({})));
  expect([seen.refreshes, seen.refreshTokens, seen.calls]).toEqual([1, ["r0"], ["a1", "a1", "a1"]]);
});

test("a token that a service refuses is replaced, once for all calls", async () => {
  const { seen, open } = gateway({ refused: ["a0"] });
  const semantik = open();
  await semantik.session.signIn("ada", "password");
  await Promise.all([1, 2].map(() => semantik.collections.listCollections({})));
  expect([seen.refreshes, seen.calls.toSorted()]).toEqual([1, ["a0", "a0", "a1", "a1"]]);
});

test("a token that is good for a moment is used while it cannot be renewed", async () => {
  const { seen, open } = gateway({ livesMs: 30_000, refreshFails: Code.Unavailable });
  const semantik = open();
  await semantik.session.signIn("ada", "password");
  await semantik.collections.listCollections({});
  expect([semantik.session.state, seen.calls]).toEqual(["signed-in", ["a0"]]);
});

test("a session that has ended is signed out, and whoever listens learns it", async () => {
  const { open } = gateway({ refused: ["a0"], refreshFails: Code.Unauthenticated });
  const semantik = open();
  const states: string[] = [];
  await semantik.session.signIn("ada", "password");
  semantik.session.subscribe(() => states.push(semantik.session.state));
  await expect(semantik.collections.listCollections({})).rejects.toMatchObject({ code: Code.Unauthenticated });
  expect(states).toEqual(["signed-out"]);
});

test("a browser without a session is signed out, one with a cookie goes on", async () => {
  const without = gateway({ refreshFails: Code.Unauthenticated }).open({ cookies: true });
  await without.session.resume();
  const withCookie = gateway().open({ cookies: true });
  await withCookie.session.resume();
  expect([without.session.state, withCookie.session.state]).toEqual(["signed-out", "signed-in"]);
});

test("a server that is away leaves the state unknown", async () => {
  const semantik = gateway({ refreshFails: Code.Unavailable }).open({ cookies: true });
  await expect(semantik.session.resume()).rejects.toMatchObject({ reason: "DRAINING" });
  expect(semantik.session.state).toBe("unknown");
});

test("one tab renews the token for all, and signs all out", async () => {
  const { seen, open } = gateway({ livesMs: 1_000 });
  const tabs = browser();
  const [first, second] = [open({ cookies: true, tabs: tabs() }), open({ cookies: true, tabs: tabs() })];
  await first.session.signIn("ada", "password");
  expect(second.session.state).toBe("signed-in");
  await Promise.all([first.collections.listCollections({}), second.collections.listCollections({})]);
  expect([seen.refreshes, seen.calls]).toEqual([1, ["a1", "a1"]]);
  await second.session.signOut();
  expect([first.session.state, second.session.state]).toEqual(["signed-out", "signed-out"]);
});

test("listeners learn that another tab signed another user in", async () => {
  const jwt = (sub: string) => `h.${btoa(JSON.stringify({ sub }))}.s`;
  const tabs = browser();
  const open = () =>
    semantikOf(({ service }) => service(AuthService, { login: ({ username }) => ({ tokens: tokens(jwt(username)) }) }), { cookies: true, tabs: tabs() });
  const [first, second] = [open(), open()];
  await first.session.signIn("ada", "password");
  const users: string[] = [];
  first.session.subscribe(() => users.push(`${first.session.state} ${first.session.userId}`));
  await second.session.signIn("ada", "password");
  await second.session.signIn("bob", "password");
  expect(users).toEqual(["signed-in bob"]);
});
