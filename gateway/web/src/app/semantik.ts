/** The client of this page, on the gateway that served it. */

import { useSyncExternalStore } from "react";
import { browserTabs, Semantik, type SessionState } from "@semantik/client";

export const semantik = new Semantik({ baseUrl: location.origin, cookies: true, tabs: browserTabs() });

export function useSession(): SessionState {
  return useSyncExternalStore(semantik.session.subscribe, () => semantik.session.state);
}
