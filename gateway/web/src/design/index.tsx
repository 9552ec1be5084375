/** The components that every page is made of. */

import { useEffect, useId, useRef, type ComponentProps, type ReactNode } from "react";
import { text } from "../messages/app.ts";
import { sentence } from "../messages/failures.ts";

export type Tone = "good" | "warn" | "bad" | "busy" | "calm";

export function Button({ tone = "", className = "", ...rest }: ComponentProps<"button"> & { tone?: "primary" | "danger" | "plain" | "" }) {
  return <button type="button" {...rest} className={`button ${tone} ${className}`} />;
}

/** A line drawing, 24 units wide; what it means stands beside it or on what holds it. */
export function Icon({ path }: { path: string }) {
  return (
    <svg width="16" height="16" viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

export function Badge({ tone = "calm", children }: { tone?: Tone; children: ReactNode }) {
  return <span className={`badge ${tone}`}>{children}</span>;
}

/** A labelled input; `wrong` says what is wrong with it. */
export function Field({ label, hint, wrong, ...rest }: ComponentProps<"input"> & { label: string; hint?: string; wrong?: string | undefined }) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input id={id} aria-describedby={`${id}-hint`} aria-invalid={Boolean(wrong)} {...rest} />
      <span id={`${id}-hint`} className={wrong ? "wrong" : "hint"}>
        {wrong ?? hint}
      </span>
    </div>
  );
}

/** How much is done, 0 to 1; undefined where nobody knows yet. */
export function Meter({ value, label }: { value: number | undefined; label: string }) {
  const known = value === undefined ? {} : { "aria-valuenow": Math.round(value * 100) };
  return (
    <div className={`meter ${value === undefined ? "unknown" : ""}`} role="progressbar" aria-label={label} aria-valuemin={0} aria-valuemax={100} {...known}>
      <span style={value === undefined ? undefined : { width: `${Math.min(100, value * 100)}%` }} />
    </div>
  );
}

export function Empty({ title, level = 2, children, action }: { title: string; level?: 1 | 2; children?: ReactNode; action?: ReactNode }) {
  const Heading = `h${level}` as const;
  return (
    <div className="empty">
      <Heading>{title}</Heading>
      {children && <p>{children}</p>}
      {action}
    </div>
  );
}

export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div className="stack-small" role="status" aria-label={text.loading}>
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} className="skeleton" style={{ width: `${90 - ((line * 23) % 40)}%` }} />
      ))}
    </div>
  );
}

/** A failure in words, with what the logs know it by. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { message, correlationId } = sentence(error);
  return (
    <div className="notice spread" role="alert">
      <span>
        {message} {correlationId && <span className="small mono">({correlationId})</span>}
      </span>
      {retry && <Button onClick={retry}>{text.tryAgain}</Button>}
    </div>
  );
}

/** A modal dialog: the browser's own, which keeps the focus inside and closes on Escape. */
export function Dialog({ title, open, onClose, children }: { title: string; open: boolean; onClose: () => void; children: ReactNode }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby={heading}>
      {open && (
        <div className="stack">
          <h2 id={heading}>{title}</h2>
          {children}
        </div>
      )}
    </dialog>
  );
}

/** Asks before something that cannot be undone. */
export function Confirm({ title, question, action, open, onClose, onConfirm }: {
  title: string;
  question: string;
  action: string;
  open: boolean;
  onClose: () => void;
  onConfirm: () => void;
}) {
  return (
    <Dialog title={title} open={open} onClose={onClose}>
      <p>{question}</p>
      <div className="row">
        <Button
          tone="danger"
          onClick={() => {
            onClose();
            onConfirm();
          }}
        >
          {action}
        </Button>
        <Button tone="plain" onClick={onClose}>
          {text.cancel}
        </Button>
      </div>
    </Dialog>
  );
}

export function Tile({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div className="card tile">
      <strong className="number">{children}</strong>
      <span className="muted">{label}</span>
    </div>
  );
}
