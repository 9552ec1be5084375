/** A signed-in user: tokens that renew themselves, and are shared by the tabs of a browser. */

import { Code, type Client } from "@connectrpc/connect";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { AuthService } from "./gen/semantik/auth/v1/auth_service_pb.js";
import type { Tokens } from "./gen/semantik/auth/v1/session_pb.js";
import type { User } from "./gen/semantik/auth/v1/user_pb.js";
import { semantikError } from "./errors.js";
import type { Tabs } from "./tabs.js";

/** An access token is renewed so long before its end. */
const EARLY_MS = 60_000;

export type SessionState = "unknown" | "signed-in" | "signed-out";

export interface Registration {
  username: string;
  email: string;
  password: string;
  fullName?: string;
}

/**
 * With `cookies` the refresh token stays in a cookie that scripts cannot read (browsers, on the gateway's own origin); without, it is
 * kept here.
 */
export class Session {
  #state: SessionState = "unknown";
  #token = "";
  #expires = 0;
  #refreshToken = "";
  #userId = "";
  readonly #listeners = new Set<() => void>();

  constructor(
    private readonly auth: Client<typeof AuthService>,
    private readonly tabs: Tabs,
    private readonly cookies: boolean,
    private readonly now: () => number = Date.now,
  ) {
    tabs.listen((message) => {
      if (message.kind === "token") this.#keep(message.token, message.expires);
      else this.#end();
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  /** The id of the user who is signed in, empty where nobody is. Another tab can sign another user in: the tabs share one cookie. */
  get userId(): string {
    return this.#userId;
  }

  /** Calls `listener` after each change of the state or of the user; returns a function that ends that. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  async signIn(username: string, password: string): Promise<User | undefined> {
    return this.#begin(() => this.auth.login({ username, password, refreshToken: this.#refreshToken }));
  }

  async register(registration: Registration): Promise<User | undefined> {
    return this.#begin(() => this.auth.register(registration));
  }

  /** Signs in with a code that another session made. */
  async signInWithCode(code: string): Promise<User | undefined> {
    return this.#begin(() => this.auth.signInWithCode({ code }));
  }

  /** Goes on with the session that this browser has, if it has one; the state says. */
  async resume(): Promise<void> {
    try {
      await this.#renew("");
    } catch (error) {
      if (semantikError(error).code !== Code.Unauthenticated) throw error;
    }
  }

  async signOut(): Promise<void> {
    await this.auth.logout({ refreshToken: this.#refreshToken });
    this.tabs.tell({ kind: "ended" });
    this.#end();
  }

  /** Returns a token to call with, renewed where it is due; empty where nobody is signed in. */
  async token(): Promise<string> {
    if (this.#state !== "signed-in") return "";
    if (this.#expires - this.now() < EARLY_MS) {
      try {
        await this.#renew(this.#token);
      } catch (error) {
        // What is early can wait: the token is still good for a moment.
        if (!semantikError(error).isPassing || this.#expires <= this.now()) throw error;
      }
    }
    return this.#token;
  }

  /** Returns another token than the one that a service refused. */
  async replace(refused: string): Promise<string> {
    await this.#renew(refused);
    return this.#token;
  }

  async #begin(ask: () => Promise<{ user?: User | undefined; tokens?: Tokens | undefined }>): Promise<User | undefined> {
    try {
      const answer = await ask();
      this.#take(answer.tokens);
      return answer.user;
    } catch (error) {
      throw semantikError(error);
    }
  }

  async #renew(known: string): Promise<void> {
    await this.tabs.exclusively(async () => {
      // Another tab, or another call of this one, was first.
      if (this.#token !== known && this.#expires - this.now() >= EARLY_MS) return;
      try {
        this.#take((await this.auth.refreshToken({ refreshToken: this.#refreshToken })).tokens);
      } catch (error) {
        const failure = semantikError(error);
        if (failure.code === Code.Unauthenticated) {
          this.tabs.tell({ kind: "ended" });
          this.#end();
        }
        throw failure;
      }
    });
  }

  #take(tokens: Tokens | undefined): void {
    if (!tokens?.accessExpireTime) throw new Error("the answer has no tokens");
    const expires = timestampMs(tokens.accessExpireTime);
    if (!this.cookies) this.#refreshToken = tokens.refreshToken;
    this.#keep(tokens.accessToken, expires);
    this.tabs.tell({ kind: "token", token: tokens.accessToken, expires });
  }

  #keep(token: string, expires: number): void {
    this.#token = token;
    this.#expires = expires;
    this.#change("signed-in", subject(token));
  }

  #end(): void {
    this.#token = this.#refreshToken = "";
    this.#expires = 0;
    this.#change("signed-out", "");
  }

  #change(state: SessionState, userId: string): void {
    if (state === this.#state && userId === this.#userId) return;
    this.#state = state;
    this.#userId = userId;
    for (const listener of this.#listeners) listener();
  }
}

/** Returns the user whom an access token (a JSON Web Token) is for; nothing is verified, which is the services' part. */
function subject(token: string): string {
  const [, payload] = token.split(".");
  if (!payload) return "";
  const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/"))) as { sub?: string };
  return claims.sub ?? "";
}
