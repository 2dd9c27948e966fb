/** What arrives of a track, from the statistics of its encodings. */

/** A report as the API gives it, with the names of W3C webrtc-stats and some of the server's own. */
export type Report = Readonly<Record<string, number | string | boolean | null>>;

export interface Sample {
  /** Bits per second of all encodings together. */
  readonly bitrate: number;
  /** Bits per second by encoding, the lowest first. */
  readonly encodings: readonly number[];
  readonly received: number;
  readonly lost: number;
  /** Seconds; the largest of the encodings. */
  readonly jitter: number | null;
  /** Share of the packets that was lost since the sample before, 0 to 1; null for the first. */
  readonly loss: number | null;
  /** The layers that receivers get; null: nobody gets any. */
  readonly sent: Spread | null;
}

/** The lowest and the highest of something. */
export interface Spread {
  readonly lowest: number;
  readonly highest: number;
}

/** Of a subscription what tells which layer it gets: a spatial one, or an encoding. */
export interface Sent {
  readonly track: string | null;
  readonly current: { readonly spatial: number | null };
  readonly starved: boolean;
}

/** Which layers receivers get of each track. */
export function layersSent(subscriptions: readonly Sent[]): Record<string, Spread> {
  const spreads: Record<string, Spread> = {};
  for (const { track, current, starved } of subscriptions) {
    const { spatial } = current;
    if (track === null || spatial === null || starved) continue;
    const known = spreads[track] ?? { lowest: spatial, highest: spatial };
    spreads[track] = { lowest: Math.min(known.lowest, spatial), highest: Math.max(known.highest, spatial) };
  }
  return spreads;
}

/** Samples of a chart: two minutes at one every two seconds. */
export const KEPT = 60;

/** Takes a sample, with the loss since the one before. */
export function sampleOf(reports: readonly Report[], before?: Sample, sent: Spread | null = null): Sample {
  const arriving = reports.filter((report) => report["type"] === "inbound-rtp");
  const whole = arriving.find((report) => report["encoding"] === undefined) ?? {};
  const each = arriving.filter((report) => report["encoding"] !== undefined);
  const jitters = each.map((report) => report["jitter"]).filter((value) => typeof value === "number");
  const received = number(whole["packetsReceived"]);
  const lost = number(whole["packetsLost"]);
  return {
    bitrate: number(whole["bitrate"]),
    encodings: [...each].sort((a, b) => number(a["encoding"]) - number(b["encoding"])).map((one) => number(one["bitrate"])),
    received,
    lost,
    jitter: jitters.length === 0 ? null : Math.max(...jitters),
    loss: before === undefined ? null : share(lost - before.lost, received - before.received),
    sent,
  };
}

/** Late packets and retransmissions make a count of losses fall again: that is no loss. */
function share(lost: number, received: number): number {
  const gone = Math.max(0, lost);
  const all = gone + Math.max(0, received);
  return all === 0 ? 0 : gone / all;
}

const number = (value: unknown) => (typeof value === "number" ? value : 0);

export type History = Readonly<Record<string, readonly Sample[]>>;

/** The samples of all tracks with one more each; those of tracks that are gone go. */
export function extend(history: History, tracks: Readonly<Record<string, readonly Report[]>>, sent: Readonly<Record<string, Spread>> = {}): History {
  return Object.fromEntries(
    Object.entries(tracks).map(([id, reports]) => {
      const before = history[id] ?? [];
      return [id, [...before.slice(-(KEPT - 1)), sampleOf(reports, before.at(-1), sent[id] ?? null)]];
    }),
  );
}
