import { useCallback, useEffect, useState } from "react";
import { ask, roomPath, sayError } from "../api";
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
  readonly options: { readonly locked: boolean; readonly lobby: boolean };
}

export interface Moderation {
  /** Whether the room's state is known yet. */
  readonly known: boolean;
  readonly locked: boolean;
  readonly lobby: boolean;
  readonly asking: readonly Knock[];
  setOptions(changed: { locked?: boolean; lobby?: boolean }): void;
  answer(knock: Knock, admit: boolean): void;
  mute(trackId: string): void;
  remove(identity: string): void;
}

/** How often a moderator's page asks who waits. */
const ASK_MS = 2500;

/** What a moderator sees and does, over the API; null for everybody else. */
export function useModeration(room: string, entry: Entry, active: boolean, tell: (words: string) => void): Moderation | null {
  const [state, setState] = useState<RoomState | null>(null);
  const [asking, setAsking] = useState<readonly Knock[]>([]);
  const request = useCallback(
    async <T>(path: string, method = "GET", body?: unknown): Promise<T> => {
      // An account's own token outlives that for the room.
      const token = (await signedIn())?.token ?? entry.token;
      return ask<T>(roomPath(room, path), { method, token, ...(body === undefined ? {} : { body }) });
    },
    [room, entry],
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
  const act = (path: string, method: string, body?: unknown) => {
    request(path, method, body)
      .catch((error: unknown) => {
        tell(text.room.failed(sayError(error)));
      })
      .then(look)
      // As when looking by itself.
      .catch(() => undefined);
  };
  return {
    known: state !== null,
    locked: state?.options.locked ?? false,
    lobby: state?.options.lobby ?? false,
    asking,
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
