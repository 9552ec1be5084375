/** What surrounds every page of a signed-in person. */

import { Link, Outlet, useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { Dialog, Icon } from "../design/index.tsx";
import { text } from "../messages/app.ts";
import { semantik } from "./semantik.ts";
import { switchTheme } from "./theme.ts";
import { tellFailure } from "./toasts.tsx";
import "./shell.css";

const PAGES = [
  { to: "/", label: text.home, key: "h" },
  { to: "/search", label: text.search, key: "s" },
  { to: "/operations", label: text.operations, key: "o" },
  { to: "/models", label: text.models, key: "m" },
  { to: "/profile", label: text.profile, key: "p" },
] as const;

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));
}

/** `/` leads to the search, `g` and a letter to a page, `?` shows all. */
function useShortcuts(showAll: () => void): void {
  const navigate = useNavigate();
  useEffect(() => {
    let isGoing = false;
    const press = (event: KeyboardEvent) => {
      if (isTyping(event.target) || event.metaKey || event.ctrlKey || event.altKey) return;
      const page = isGoing ? PAGES.find(({ key }) => key === event.key) : undefined;
      isGoing = event.key === "g";
      if (page) void navigate({ to: page.to });
      else if (event.key === "?") showAll();
      else if (event.key === "/") {
        event.preventDefault();
        const box = document.getElementById("query");
        if (box) box.focus();
        else void navigate({ to: "/search" });
      }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [navigate, showAll]);
}

export function Shell() {
  const [isHelping, setHelping] = useState(false);
  useShortcuts(() => setHelping(true));
  const signOut = () => semantik.session.signOut().catch(tellFailure);
  return (
    <div className="shell">
      <a className="skip button" href="#content">
        {text.skip}
      </a>
      <nav className="side" aria-label={text.name}>
        <Link to="/" className="brand" aria-label={text.name}>
          <img src="/favicon.svg" alt="" width="24" height="24" />
          <span>{text.name}</span>
        </Link>
        {PAGES.map(({ to, label, key }) => (
          <Link key={to} to={to} className="item" activeOptions={{ exact: to === "/" }}>
            {label}
            {to === "/search" ? <kbd>/</kbd> : <kbd className="hidden">g {key}</kbd>}
          </Link>
        ))}
        <div className="foot">
          <button type="button" className="item" onClick={switchTheme} aria-label={text.theme} title={text.theme}>
            <span className="label">{text.theme}</span>
            <Icon path="M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18" />
          </button>
          <button type="button" className="item" onClick={signOut} aria-label={text.signOut} title={text.signOut}>
            <span className="label">{text.signOut}</span>
            <Icon path="M14 4h5v16h-5M4 12h11m-4-4 4 4-4 4" />
          </button>
        </div>
      </nav>
      <main id="content" className="page" tabIndex={-1}>
        <Outlet />
      </main>
      <Dialog title={text.shortcuts} open={isHelping} onClose={() => setHelping(false)}>
        <dl className="facts">
          <dt>
            <kbd>/</kbd>
          </dt>
          <dd>{text.search}</dd>
          {PAGES.map(({ to, label, key }) => [
            <dt key={to}>
              <kbd>g</kbd> <kbd>{key}</kbd>
            </dt>,
            <dd key={`${to} label`}>{label}</dd>,
          ])}
          <dt>
            <kbd>↑</kbd> <kbd>↓</kbd>
          </dt>
          <dd>through what a search found</dd>
        </dl>
      </Dialog>
    </div>
  );
}
