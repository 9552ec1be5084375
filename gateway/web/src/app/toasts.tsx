/** Short messages in the corner: what failed, and what was done. */

import { useSyncExternalStore } from "react";
import { Button } from "../design/index.tsx";
import { text } from "../messages/app.ts";
import { sentence } from "../messages/failures.ts";

interface Toast {
  id: number;
  message: string;
  isBad: boolean;
}

const SHOWN_MS = 6000;
let toasts: readonly Toast[] = [];
let next = 0;
const listeners = new Set<() => void>();

function set(changed: readonly Toast[]): void {
  toasts = changed;
  for (const listener of listeners) listener();
}

const drop = (id: number): void => set(toasts.filter((toast) => toast.id !== id));

export function tell(message: string, isBad = false): void {
  const id = next++;
  set([...toasts, { id, message, isBad }]);
  setTimeout(() => drop(id), SHOWN_MS);
}

export const tellFailure = (error: unknown): void => tell(sentence(error).message, true);

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className={`toast ${toast.isBad ? "bad" : ""}`}>
          <span>{toast.message}</span>
          <Button tone="plain" aria-label={text.close} onClick={() => drop(toast.id)}>
            ×
          </Button>
        </div>
      ))}
    </div>
  );
}
