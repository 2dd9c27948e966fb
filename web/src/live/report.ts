import { text } from "../strings";

/** What a viewer of HLS sees at one moment; seconds. */
export interface LiveReport {
  /** How far behind the moment it was made what is shown is. */
  readonly latency: number;
  /** How far behind the server asks players to stay. */
  readonly target: number;
  /** How much of what comes next is here already. */
  readonly buffer: number;
  /** The variant that is shown, once one is. */
  readonly variant: Variant | null;
  /** Times the picture stood still for want of media. */
  readonly stalls: number;
  /** Names of subtitles that can be shown. */
  readonly subtitles: readonly string[];
}

export interface Variant {
  readonly width: number;
  readonly height: number;
  /** Bits a second, as the playlist says. */
  readonly bitrate: number;
  readonly codecs: string;
}

/** Players this far behind their target are told that they can jump. */
const BEHIND_S = 2;

/** Seconds with one digit; nothing where they are not known. */
export function seconds(value: number): string {
  return Number.isFinite(value) && value > 0 ? `${value.toFixed(1)} s` : "";
}

export function sayVariant(variant: Variant | null): string {
  if (variant === null) return "";
  const size = variant.width > 0 ? `${variant.width}×${variant.height}` : "";
  const rate = variant.bitrate >= 1e6 ? `${(variant.bitrate / 1e6).toFixed(1)} Mbit/s` : `${Math.round(variant.bitrate / 1000)} kbit/s`;
  return [size, rate].filter((part) => part !== "").join(", ");
}

/** Whether a jump to the live edge would gain something. */
export function isBehind({ latency, target }: LiveReport): boolean {
  return latency > target + BEHIND_S;
}

/** How much of a media element's time from now on is buffered. */
export function ahead(buffered: TimeRanges, now: number): number {
  for (let at = 0; at < buffered.length; at++) {
    if (buffered.start(at) <= now + 0.1 && now <= buffered.end(at)) return buffered.end(at) - now;
  }
  return 0;
}

/** What hls.js calls a failure at the address that the token is shown at. */
const AT_THE_DOOR = "manifestLoadError";

/**
 * Whether a token was shown and refused, so that asking again would bring the same answer. A grant that has ended, with the server that gave
 * it, is no such case: the token gets another.
 */
export function isDenied(status: number | undefined, what: string): boolean {
  return (status === 401 || status === 403) && what === AT_THE_DOOR;
}

/** Why there is nothing to play, by what the server answered, if it did, and by what failed in words of the player. */
export function sayTrouble(status: number | undefined, what: string): string {
  if (isDenied(status, what)) return text.play.denied;
  if (status === 401 || status === 403) return text.play.over;
  return status === 404 || what === "" ? text.play.nobody : text.play.trouble(what);
}
