/** The log of ends: pages of it, the newest first. */

export interface EndedEntry {
  readonly number: number;
  readonly kind: "participant" | "viewer" | "room";
  readonly room: string;
  readonly room_id: string;
  readonly participant: string | null;
  readonly name: string;
  readonly viewer: string | null;
  readonly reason: string;
  readonly began_at: number;
  readonly at: number;
}

/** What is known with what was found, each entry once, the newest first. A server that started anew counts from one. */
export function merge(known: readonly EndedEntry[], found: readonly EndedEntry[]): EndedEntry[] {
  const byKey = new Map([...known, ...found].map((entry) => [`${entry.room_id} ${entry.number}`, entry]));
  return [...byKey.values()].sort((a, b) => b.at - a.at || b.number - a.number);
}
