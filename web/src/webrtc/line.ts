/** What is known of a viewer's line: figures of the server, once a second, and what arrives. */

/** The `bandwidth` event. */
export interface BandwidthReport {
  readonly estimate?: number | null;
  readonly allocated?: number | null;
  readonly wanted?: number | null;
  readonly roundTripTime?: number | null;
  readonly congestion?: string | null;
  readonly quality?: string | null;
  readonly media: Record<string, SectionReport>;
}

/** What the server says of one video section. */
export interface SectionReport {
  readonly currentSpatialLayer?: number | null;
  readonly currentTemporalLayer?: number | null;
  readonly targetSpatialLayer?: number | null;
  readonly targetTemporalLayer?: number | null;
  readonly paused?: string | null;
}

/** One encoding of the source, of the `layers` event. */
export interface LayerReport {
  readonly spatialLayerId: number;
  readonly rid?: string;
  readonly active: boolean;
  readonly bitrate: number;
  readonly sent: boolean;
}

/** One second of a line. */
export interface LineSample {
  readonly estimate: number;
  readonly allocated: number;
  readonly arriving: number;
  /** The spatial layer sent; null: nothing. */
  readonly current: number | null;
  readonly target: number | null;
}

/** Samples that are kept: two minutes. */
export const KEPT = 120;

/** The samples with one more, the oldest left out. */
export function extend(samples: readonly LineSample[], report: BandwidthReport, arriving: number): LineSample[] {
  const section = Object.values(report.media)[0];
  const starved = section?.paused === "bandwidth";
  const sample = {
    estimate: report.estimate ?? 0,
    allocated: report.allocated ?? 0,
    arriving,
    current: starved ? null : (section?.currentSpatialLayer ?? null),
    target: starved ? null : (section?.targetSpatialLayer ?? section?.currentSpatialLayer ?? null),
  };
  return [...samples.slice(1 - KEPT), sample];
}

/** A layer in words: its RID where it has one, and the highest temporal layer where that is limited. */
export function layerName(
  spatial: number | null | undefined,
  temporal: number | null | undefined,
  layers: readonly LayerReport[],
): string {
  if (spatial === null || spatial === undefined) return "–";
  const rid = layers.find((layer) => layer.spatialLayerId === spatial)?.rid;
  const name = rid === undefined ? `S${spatial}` : rid;
  return temporal === null || temporal === undefined ? name : `${name} T${temporal}`;
}

/** A bitrate with its unit. */
export function bitrate(bps: number): string {
  if (bps >= 1_000_000) return `${(bps / 1_000_000).toFixed(2)} Mbit/s`;
  return `${Math.round(bps / 1000)} kbit/s`;
}
