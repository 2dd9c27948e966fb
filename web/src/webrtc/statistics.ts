/** One line of the statistics table. */
export interface StatLine {
  readonly name: string;
  readonly value: string;
}

/** Turns successive getStats() reports into lines; bitrates need the report before. */
export class Statistics {
  #before = new Map<string, { bytes: number; at: number }>();

  lines(report: RTCStatsReport): StatLine[] {
    const lines: StatLine[] = [];
    const all = [...report.values()] as Record<string, unknown>[];
    // Encodings in the order of their description: reports come in any.
    all.sort((one, other) => number(one, "encodingIndex") - number(other, "encodingIndex"));
    for (const entry of all) {
      if (entry["type"] === "inbound-rtp") lines.push(...this.#inbound(entry, report));
      if (entry["type"] === "outbound-rtp") lines.push(...this.#outbound(entry, report));
    }
    const pair = all.find((entry) => entry["type"] === "candidate-pair" && entry["nominated"] === true);
    if (pair !== undefined) lines.push({ name: "round trip", value: `${number(pair, "currentRoundTripTime") * 1000} ms` });
    return lines.map(({ name, value }) => ({ name, value: value.replace(/(\.\d)\d+/, "$1") }));
  }

  #inbound(entry: Record<string, unknown>, report: RTCStatsReport): StatLine[] {
    const kind = text(entry, "kind");
    const lines = [
      { name: `${kind} codec`, value: codec(entry, report) },
      { name: `${kind} bitrate`, value: this.#bitrate(entry, "bytesReceived") },
      { name: `${kind} packets lost`, value: String(number(entry, "packetsLost")) },
    ];
    if (kind !== "video") return lines;
    return [
      { name: "video size", value: size(entry) },
      { name: "video frames decoded", value: String(number(entry, "framesDecoded")) },
      { name: "video frame rate", value: `${number(entry, "framesPerSecond")} /s` },
      { name: "video freezes", value: String(number(entry, "freezeCount")) },
      ...lines,
    ];
  }

  #outbound(entry: Record<string, unknown>, report: RTCStatsReport): StatLine[] {
    const rid = text(entry, "rid");
    const name = text(entry, "kind") + (rid === "" ? "" : ` (${rid})`);
    const lines = [
      { name: `${name} codec`, value: codec(entry, report) },
      { name: `${name} bitrate`, value: this.#bitrate(entry, "bytesSent") },
    ];
    if (text(entry, "kind") !== "video") return lines;
    return [
      { name: `${name} size`, value: size(entry) },
      { name: `${name} frame rate`, value: `${number(entry, "framesPerSecond")} /s` },
      ...lines,
      { name: `${name} limited by`, value: text(entry, "qualityLimitationReason") },
      { name: `${name} keyframes asked`, value: String(number(entry, "pliCount")) },
    ];
  }

  #bitrate(entry: Record<string, unknown>, counter: string): string {
    const id = text(entry, "id");
    const now = { bytes: number(entry, counter), at: number(entry, "timestamp") };
    const before = this.#before.get(id);
    this.#before.set(id, now);
    if (before === undefined || now.at <= before.at) return "-";
    return `${Math.round(((now.bytes - before.bytes) * 8) / (now.at - before.at))} kbit/s`;
  }
}

function number(entry: Record<string, unknown>, name: string): number {
  const value = entry[name];
  return typeof value === "number" ? value : 0;
}

/** Of the pictures; a dash where there have been none. */
function size(entry: Record<string, unknown>): string {
  const [width, height] = [number(entry, "frameWidth"), number(entry, "frameHeight")];
  return width === 0 ? "–" : `${width}x${height}`;
}

function text(entry: Record<string, unknown>, name: string): string {
  const value = entry[name];
  return typeof value === "string" ? value : "";
}

function codec(entry: Record<string, unknown>, report: RTCStatsReport): string {
  const found = report.get(text(entry, "codecId")) as Record<string, unknown> | undefined;
  return found === undefined ? "-" : text(found, "mimeType").replace(/^\w+\//, "");
}
