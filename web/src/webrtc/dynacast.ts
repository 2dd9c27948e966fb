/** What viewers want of a publisher, and acting on it. */

/** One encoding in an `encodings` event. */
export interface WantedEncoding {
  readonly rid?: string;
  /** Whether anybody wants it. */
  readonly active: boolean;
  /** The highest temporal layer anybody wants; 7 is all. */
  readonly maxTemporalLayerId: number | null;
}

/** The `quality` event. */
export interface QualityReport {
  readonly kind: string;
  readonly level: string;
  readonly degradation?: string | null;
}

/** Which encodings to send: those wanted, and always the lowest, so that a viewer who comes sees something at once. */
export function chosen(rids: readonly (string | undefined)[], wanted: readonly WantedEncoding[]): boolean[] {
  const of = (rid: string | undefined) => wanted.find((one) => one.rid === rid)?.active ?? true;
  return rids.map((rid, place) => place === 0 || of(rid));
}

/** Stops the encodings of a simulcast sender that nobody wants, and starts those that somebody does. */
export async function apply(pc: RTCPeerConnection, wanted: readonly WantedEncoding[]): Promise<void> {
  const sender = pc.getSenders().find(({ track }) => track?.kind === "video");
  const parameters = sender?.getParameters();
  if (sender === undefined || parameters === undefined || parameters.encodings.length < 2) return;
  const active = chosen(
    parameters.encodings.map(({ rid }) => rid),
    wanted,
  );
  parameters.encodings.forEach((encoding, place) => {
    encoding.active = active[place] ?? true;
  });
  await sender.setParameters(parameters);
}

/** The encodings in words. */
export function inWords(wanted: readonly WantedEncoding[]): string {
  const words = wanted.map(({ rid, active, maxTemporalLayerId }, place) => {
    const name = rid ?? `encoding ${place}`;
    if (!active) return `${name}: nobody`;
    const all = maxTemporalLayerId === null || maxTemporalLayerId >= 7;
    return all ? `${name}: wanted` : `${name}: wanted to T${maxTemporalLayerId}`;
  });
  return words.join(", ");
}
