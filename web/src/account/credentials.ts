import { ApiProblem, ask } from "../api";

export type Role = "admin" | "moderator" | "member";

export interface Account {
  readonly id: string;
  readonly username: string;
  readonly name: string;
  readonly email: string | null;
  readonly role: Role;
  readonly totp: boolean;
  readonly disabled: boolean;
  readonly created_at: number;
}

/** The answer to whoever has logged in. The refresh token in it is not kept: the browser has it in a cookie. */
export interface LogIn {
  readonly access_token: string;
  readonly access_expires_at: number;
  readonly account: Account;
}

interface Kept {
  readonly token: string;
  readonly expiresAt: number;
  readonly account: Account;
}

const KEY = "roomtone.login";
/** Says to other windows that there is a cookie to refresh with. */
const MARK = "roomtone.signed-in";
const LOCK = "roomtone.refresh";
/** A token is exchanged this long before it ends. */
const EARLY_S = 60;

/** Keeps a log-in for this window, and gives its account. */
export function keep({ access_token, access_expires_at, account }: LogIn): Account {
  const kept: Kept = { token: access_token, expiresAt: access_expires_at, account };
  sessionStorage.setItem(KEY, JSON.stringify(kept));
  localStorage.setItem(MARK, "1");
  return account;
}

/** Whether a token is good for a while yet. */
export const isFresh = (expiresAt: number, nowS: number) => expiresAt - EARLY_S > nowS;

function current(): Kept | null {
  const stored = sessionStorage.getItem(KEY);
  if (stored === null || localStorage.getItem(MARK) === null) return null;
  const kept = JSON.parse(stored) as Kept;
  return isFresh(kept.expiresAt, Date.now() / 1000) ? kept : null;
}

/** The log-in of this browser, refreshed when it is time; null: nobody is signed in. */
export async function signedIn(): Promise<Kept | null> {
  const found = current();
  if (found !== null || localStorage.getItem(MARK) === null) return found;
  return again();
}

/** Exchanges the log-in for a new one, which knows the account as it is now. */
export async function again(): Promise<Kept | null> {
  // A refresh token is good once: two windows must not send the same one.
  return exclusively(async () => {
    if (localStorage.getItem(MARK) === null) return null;
    try {
      keep(await ask<LogIn>("/api/v1/auth/refresh", { method: "POST" }));
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 401) throw error;
      forget();
    }
    return current();
  });
}

function exclusively<T>(work: () => Promise<T>): Promise<T> {
  return "locks" in navigator ? (navigator.locks.request(LOCK, work) as Promise<T>) : work();
}

function forget(): void {
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(MARK);
}

/** Notes that everything this browser was signed in with has ended. */
export function signedOut(): void {
  forget();
}

/** Ends the log-in here and on the server. */
export async function signOut(): Promise<void> {
  forget();
  await ask("/api/v1/auth/logout", { method: "POST" });
}

/** Where to go after signing in: a page of this site, never another's. */
export function nextPage(query: string, origin: string): string {
  const wanted = new URLSearchParams(query).get("next") ?? "/";
  const url = new URL(wanted, origin);
  return url.origin === origin ? url.pathname + url.search + url.hash : "/";
}

/** The page to sign in on, which comes back here. */
export const signInPage = () => `/account/?next=${encodeURIComponent(location.pathname + location.search)}`;
