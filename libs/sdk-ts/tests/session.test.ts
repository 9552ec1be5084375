/** Sessions, over Connect's own transport in memory. */

import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { AuthService, type RefreshTokenRequest } from "../src/gen/semantik/auth/v1/auth_service_pb.js";
import { noTabs, Session, type TabMessage, type Tabs } from "../src/index.js";

const MINUTES = 60_000;

/** A browser's tabs in one program: one lock, and every other tab hears a message. */
function tabsOf(count: number): Tabs[] {
  const lock = noTabs();
  const listeners: ((message: TabMessage) => void)[] = [];
  return Array.from({ length: count }, (_, own) => ({
    exclusively: lock.exclusively,
    tell: (message) => listeners.forEach((listener, index) => index !== own && listener(message)),
    listen: (listener) => {
      listeners[own] = listener;
    },
  }));
}

function service(clock: { now: number }, refused = () => false) {
  const seen: RefreshTokenRequest[] = [];
  let issued = 0;
  const tokens = () => ({
    accessToken: `access ${++issued}`,
    accessExpireTime: timestampFromMs(clock.now + 15 * MINUTES),
    refreshToken: `refresh ${issued}`,
  });
  const transport = createRouterTransport(({ service: serve }) => {
    serve(AuthService, {
      login: () => ({ tokens: tokens() }),
      logout: () => ({}),
      refreshToken: async (request) => {
        seen.push(request);
        await Promise.resolve();
        if (refused()) throw new ConnectError("it has ended", Code.Unauthenticated);
        return { tokens: tokens() };
      },
    });
  });
  return { auth: createClient(AuthService, transport), seen };
}

test("a token is renewed shortly before its end, once for many calls", async () => {
  const clock = { now: 0 };
  const { auth, seen } = service(clock);
  const session = new Session(auth, noTabs(), false, () => clock.now);
  await session.signIn("ada", "secret");
  expect(await session.token()).toBe("access 1");
  clock.now = 14.5 * MINUTES;
  expect(await Promise.all([session.token(), session.token(), session.token()])).toEqual(["access 2", "access 2", "access 2"]);
  expect(seen.map(({ refreshToken }) => refreshToken)).toEqual(["refresh 1"]);
});

test("of two tabs one renews, and both go on with its token", async () => {
  const clock = { now: 0 };
  const { auth, seen } = service(clock);
  const [one, two] = tabsOf(2).map((tabs) => new Session(auth, tabs, true, () => clock.now)) as [Session, Session];
  await one.signIn("ada", "secret");
  expect([one.state, two.state]).toEqual(["signed-in", "signed-in"]);
  clock.now = 15 * MINUTES;
  expect(await Promise.all([one.token(), two.token()])).toEqual(["access 2", "access 2"]);
  // The refresh token is the cookie's: a page has none.
  expect(seen.map(({ refreshToken }) => refreshToken)).toEqual([""]);
});

test("whoever signs out in one tab is signed out in all", async () => {
  const { auth } = service({ now: 0 });
  const [one, two] = tabsOf(2).map((tabs) => new Session(auth, tabs, true, () => 0)) as [Session, Session];
  await one.signIn("ada", "secret");
  await two.signOut();
  expect([one.state, two.state, await one.token()]).toEqual(["signed-out", "signed-out", ""]);
});

test("a session that has ended elsewhere is signed out, not tried again", async () => {
  const clock = { now: 0 };
  const { auth } = service(clock, () => true);
  const session = new Session(auth, noTabs(), true, () => clock.now);
  await session.resume();
  expect(session.state).toBe("signed-out");
  await session.signIn("ada", "secret");
  await expect(session.replace("access 1")).rejects.toMatchObject({ code: Code.Unauthenticated });
  expect(session.state).toBe("signed-out");
});

test("a token that another call has replaced already is not renewed again", async () => {
  const { auth, seen } = service({ now: 0 });
  const session = new Session(auth, noTabs(), true, () => 0);
  await session.signIn("ada", "secret");
  expect(await session.replace("access 1")).toBe("access 2");
  expect(await session.replace("access 1")).toBe("access 2");
  expect(seen).toHaveLength(1);
});
