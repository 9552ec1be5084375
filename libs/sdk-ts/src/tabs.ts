/** What the tabs of one browser share: one refresh at a time, and what came of it. */

/** A message between tabs: new access tokens, or the end of the session. */
export type TabMessage = { readonly kind: "token"; readonly token: string; readonly expires: number } | { readonly kind: "ended" };

export interface Tabs {
  /** Runs `work` while no other tab runs one. */
  exclusively<T>(work: () => Promise<T>): Promise<T>;
  tell(message: TabMessage): void;
  listen(listener: (message: TabMessage) => void): void;
}

/** The tabs of this browser, by Web Locks and a BroadcastChannel. */
export function browserTabs(name = "semantik-session"): Tabs {
  const channel = new BroadcastChannel(name);
  return {
    exclusively: (work) => navigator.locks.request(name, work) as ReturnType<typeof work>,
    tell: (message) => channel.postMessage(message),
    listen: (listener) => channel.addEventListener("message", (event: MessageEvent<TabMessage>) => listener(event.data)),
  };
}

/** A program that is alone. */
export function noTabs(): Tabs {
  let last: Promise<unknown> = Promise.resolve();
  return {
    exclusively: (work) => {
      const next = last.then(work, work);
      last = next.catch(() => undefined);
      return next;
    },
    tell: () => undefined,
    listen: () => undefined,
  };
}
