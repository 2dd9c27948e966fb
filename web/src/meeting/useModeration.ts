import { useCallback, useEffect, useState } from "react";
import { ApiProblem, ask, roomPath, sayError } from "../api";
import { signedIn } from "../account/credentials";
import { text } from "../strings";
import type { Entry } from "./access";

export interface Knock {
  readonly id: string;
  readonly identity: string;
  readonly name: string;
}

interface RoomState {
  readonly waiting: number;
  readonly on_air: boolean;
  readonly options: { readonly locked: boolean; readonly lobby: boolean };
}

export interface Moderation {
  /** Whether the room's state is known yet. */
  readonly known: boolean;
  readonly locked: boolean;
  readonly lobby: boolean;
  /** Whether a live stream shows the room. */
  readonly live: boolean;
  readonly asking: readonly Knock[];
  setOptions(changed: { locked?: boolean; lobby?: boolean }): void;
  setLive(on: boolean): void;
  answer(knock: Knock, admit: boolean): void;
  mute(trackId: string): void;
  remove(identity: string): void;
}

/** How a room goes live, the best first; what this server cannot do it refuses by one of these codes. */
const WISHES = [{ picture: "program" }, { picture: "speaker", sound: "mix" }, { picture: "first", sound: "mix" }] as const;
const CANNOT: readonly string[] = ["needs_transcoding", "speakers_switched_off"];

/** How often a moderator's page asks who waits. */
const ASK_MS = 2500;

/** What a moderator sees and does, over the API; null for everybody else. */
export function useModeration(room: string, entry: Entry, active: boolean, tell: (words: string) => void): Moderation | null {
  const [state, setState] = useState<RoomState | null>(null);
  const [asking, setAsking] = useState<readonly Knock[]>([]);
  const send = useCallback(
    async <T>(path: string, method = "GET", body?: unknown): Promise<T> => {
      // An account's own token outlives that for the room.
      const token = (await signedIn())?.token ?? entry.token;
      return ask<T>(path, { method, token, ...(body === undefined ? {} : { body }) });
    },
    [entry],
  );
  const request = useCallback(
    <T>(path: string, method = "GET", body?: unknown): Promise<T> => send<T>(roomPath(room, path), method, body),
    [room, send],
  );
  const look = useCallback(async () => {
    const found = await request<RoomState>("");
    setState(found);
    setAsking(found.waiting > 0 ? await request<Knock[]>("/lobby") : []);
  }, [request]);
  useEffect(() => {
    if (!entry.moderator || !active) return;
    let timer = 0;
    let current = true;
    const again = () => {
      // The room may be gone, or the server away for a moment: the page says so elsewhere.
      void look()
        .catch(() => undefined)
        .finally(() => {
          if (current) timer = window.setTimeout(again, ASK_MS);
        });
    };
    again();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [entry, active, look]);
  if (!entry.moderator) return null;
  const finish = (work: Promise<unknown>) => {
    work
      .catch((error: unknown) => {
        tell(text.room.failed(sayError(error)));
      })
      .then(look)
      // As when looking by itself.
      .catch(() => undefined);
  };
  const act = (path: string, method: string, body?: unknown) => {
    finish(request(path, method, body));
  };
  return {
    known: state !== null,
    locked: state?.options.locked ?? false,
    lobby: state?.options.lobby ?? false,
    live: state?.on_air ?? false,
    asking,
    setLive: (on) => {
      setState((now) => (now === null ? now : { ...now, on_air: on }));
      finish(on ? goLive(room, send) : send(`/api/v1/streams/${encodeURIComponent(room)}`, "DELETE"));
    },
    setOptions: (changed) => {
      // Shown at once; what the server made of it comes with the next look.
      setState((now) => (now === null ? now : { ...now, options: { ...now.options, ...changed } }));
      act("", "PATCH", changed);
    },
    answer: ({ id }, admit) => {
      act(`/lobby/${encodeURIComponent(id)}/${admit ? "admit" : "deny"}`, "POST");
    },
    mute: (trackId) => {
      act(`/tracks/${encodeURIComponent(trackId)}/muted`, "PUT", { muted: true });
    },
    remove: (identity) => {
      act(`/participants/${encodeURIComponent(identity)}`, "DELETE");
    },
  };
}

type Send = (path: string, method: string, body: unknown) => Promise<unknown>;

/** Has a room go live as well as this server can. */
export async function goLive(room: string, send: Send): Promise<void> {
  const [best, ...rest] = WISHES;
  let refused = await attempt(room, best, send);
  for (const wish of rest) {
    if (refused === null) return;
    refused = await attempt(room, wish, send);
  }
  if (refused !== null) throw refused;
}

/** Gives why that is more than the server can do; null where it is live. */
async function attempt(room: string, wish: (typeof WISHES)[number], send: Send): Promise<ApiProblem | null> {
  try {
    await send("/api/v1/streams", "POST", { room, ...wish });
    return null;
  } catch (error) {
    if (error instanceof ApiProblem && CANNOT.includes(error.code)) return error;
    throw error;
  }
}
