/** How one gets into a room: whose token, and asking where the room wants that. */
import { ask, problemOf, roomPath } from "../api";
import { signedIn } from "../account/credentials";
import { guestIdentity } from "./choices";

/** A token for a room, and whether it lets its bearer moderate. */
export interface Entry {
  readonly token: string;
  readonly moderator: boolean;
}

const given = () => new URLSearchParams(location.hash.slice(1)).get("token");

/** Has the address lead to another room, with a token for it where the token came in the address. */
export function keepAddress(room: string, token: string): void {
  const hash = given() === null ? "" : `#token=${token}`;
  history.replaceState(null, "", `${location.pathname}?${new URLSearchParams({ room }).toString()}${hash}`);
}

/** Whether there is any way in: a token in the address, an account, or a development server. */
export async function wayIn(guests: boolean): Promise<"given" | "account" | "guest" | null> {
  if (given() !== null) return "given";
  if ((await signedIn()) !== null) return "account";
  return guests ? "guest" : null;
}

/** Gets the token to join with. */
export async function enter(room: string, name: string, moderate: boolean): Promise<Entry> {
  const fromAddress = given();
  if (fromAddress !== null) return entryOf(fromAddress);
  const kept = await signedIn();
  if (kept !== null) {
    return entryOf((await ask<{ token: string }>(roomPath(room, "/token"), { method: "POST", token: kept.token })).token);
  }
  return entryOf(await guestToken(room, name, moderate));
}

async function guestToken(room: string, name: string, moderate: boolean): Promise<string> {
  const identity = guestIdentity(name, crypto.randomUUID());
  const query = new URLSearchParams({ room, identity, name, admin: String(moderate) });
  return (await ask<{ token: string }>(`/dev/token?${query.toString()}`, { method: "POST" })).token;
}

/** A token for a room of its own to check the network in; null where there is none to be had. */
export async function tokenForCheck(guests: boolean): Promise<string | null> {
  const room = `check-${crypto.randomUUID().slice(0, 8)}`;
  const kept = await signedIn();
  if (kept === null) return guests ? guestToken(room, "check", false) : null;
  return (await ask<{ token: string }>(roomPath(room, "/token"), { method: "POST", token: kept.token })).token;
}

/** Reads what a token grants; the server decides, this only chooses which buttons to show. */
export function entryOf(token: string): Entry {
  return { token, moderator: claimsOf(token).video?.roomAdmin === true };
}

/** Whom a token stands for. */
export const identityIn = (token: string) => claimsOf(token).sub;

interface Claims {
  readonly sub?: string;
  readonly video?: { readonly roomAdmin?: boolean };
}

function claimsOf(token: string): Claims {
  const [, body = ""] = token.split(".");
  return JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/"))) as Claims;
}

export type Decision = "admitted" | "denied" | "timed_out" | "withdrawn" | "room_closed";

/** Asks to enter, and waits for the answer; ending `signal` withdraws the question. */
export async function knock(room: string, token: string, signal: AbortSignal): Promise<Decision> {
  const headers = { Authorization: `Bearer ${token}` };
  const response = await fetch(roomPath(room, "/knock"), { method: "POST", headers, signal });
  if (!response.ok || response.body === null) throw problemOf(response.status, await response.text());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let heard = "";
  for (;;) {
    const { done, value } = await reader.read();
    heard += value ?? "";
    const decision = decisionIn(heard);
    if (decision !== null) {
      void reader.cancel();
      return decision;
    }
    if (done) return "withdrawn";
  }
}

/** The decision in server-sent events, once it is there. */
export function decisionIn(stream: string): Decision | null {
  const found = /^event: decided\ndata: (.*)\n\n/m.exec(stream);
  return found === null ? null : (JSON.parse(found[1] ?? "{}") as { decision: Decision }).decision;
}
