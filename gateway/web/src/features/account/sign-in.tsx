/** Sign in, register, and the first account of an installation. */

import { useQuery } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { semantikError } from "@semantik/client";
import { written } from "../../app/form.ts";
import { semantik } from "../../app/semantik.ts";
import { Button, Failure, Field } from "../../design/index.tsx";
import "../../app/shell.css";
import { text } from "./messages.ts";

/** Takes the code of a one-time link out of the address, where it would stay in the history. */
function takeCode(): string {
  const code = new URLSearchParams(location.hash.slice(1)).get("code") ?? "";
  if (code) history.replaceState(null, "", location.pathname);
  return code;
}

export function SignIn() {
  const { next } = useSearch({ from: "/sign-in" });
  const router = useRouter();
  const [wantsAccount, setWantsAccount] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<unknown>();
  const code = useRef<string>(undefined);
  const options = useQuery({ queryKey: ["sign-in options"], queryFn: () => semantik.auth.getSignInOptions({}) });
  const isFirst = options.data?.firstUser ?? false;
  const isRegistering = isFirst || wantsAccount;

  const enter = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setFailure(undefined);
    try {
      await work();
      // Only an address of this app: nobody is led elsewhere.
      router.history.push(next?.startsWith("/") && !next.startsWith("//") ? next : "/");
    } catch (error) {
      setFailure(error);
    } finally {
      setBusy(false);
    }
  };

  useEffect(() => {
    if (code.current !== undefined) return;
    code.current = takeCode();
    if (code.current) void enter(() => semantik.session.signInWithCode(code.current ?? ""));
  });

  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = new FormData(event.currentTarget);
    const value = (name: string) => written(values, name);
    void enter(() =>
      isRegistering
        ? semantik.session.register({ username: value("username"), email: value("email"), password: value("password") })
        : semantik.session.signIn(value("username"), value("password")),
    );
  };

  const fields = failure ? semantikError(failure).fields : {};
  const title = isFirst ? text.first : isRegistering ? text.register : text.signIn;
  return (
    <main className="alone">
      <form className="card stack" onSubmit={submit}>
        <div className="stack-small">
          <img src="/favicon.svg" alt="" width="36" height="36" />
          <h1>{title}</h1>
          <p className="muted">{isFirst ? text.firstHint : text.signInHint}</p>
        </div>
        {failure !== undefined && <Failure error={failure} />}
        <Field
          label={isRegistering ? text.username : text.usernameOrEmail}
          name="username"
          autoComplete="username"
          autoCapitalize="none"
          required
          autoFocus
          wrong={fields.username}
        />
        {isRegistering && <Field label={text.email} name="email" type="email" autoComplete="email" required wrong={fields.email} />}
        <Field
          label={text.password}
          name="password"
          type="password"
          autoComplete={isRegistering ? "new-password" : "current-password"}
          required
          minLength={isRegistering ? 8 : 1}
          {...(isRegistering && { hint: text.passwordHint })}
          wrong={fields.password}
        />
        <Button type="submit" tone="primary" disabled={isBusy}>
          {isFirst ? text.createFirst : title}
        </Button>
        {options.data?.registrationOpen && !isFirst && (
          <Button
            tone="plain"
            onClick={() => {
              setWantsAccount(!wantsAccount);
              setFailure(undefined);
            }}
          >
            {wantsAccount ? text.toSignIn : text.toRegister}
          </Button>
        )}
      </form>
    </main>
  );
}
