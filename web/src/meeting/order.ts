/** What decides where somebody stands. */
export interface Placed {
  readonly identity: string;
  readonly mine: boolean;
  readonly hand: number | null;
  readonly joinedAt: number;
}

/** Hands that are up first, the longest first; then others as they came; oneself last. */
export function inOrder<T extends Placed>(people: readonly T[]): T[] {
  const key = (one: T) => [one.mine ? 1 : 0, one.hand === null ? 1 : 0, one.hand ?? one.joinedAt] as const;
  return [...people].sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return x[0] - y[0] || x[1] - y[1] || x[2] - y[2] || a.identity.localeCompare(b.identity);
  });
}

/** Who is shown large: who was chosen, else who spoke last, else the first of the others. */
export function onStage<T extends Placed>(people: readonly T[], pinned: string | null, lastSpeaker: string | null): T | null {
  const find = (identity: string | null) => people.find((one) => one.identity === identity);
  return find(pinned) ?? find(lastSpeaker) ?? people.find((one) => !one.mine) ?? people[0] ?? null;
}
