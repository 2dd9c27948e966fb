import { Room } from "livekit-client";

/** The path media takes to the server. */
export interface MediaPath {
  readonly protocol: string;
  readonly roundTripMs: number | null;
}

/** The median time the server takes to answer, in milliseconds. */
export async function roundTrip(): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < 5; count += 1) {
    const start = performance.now();
    const response = await fetch("/api/v1/server", { cache: "no-store" });
    await response.text();
    times.push(performance.now() - start);
  }
  return Math.round(times.sort((a, b) => a - b)[2] ?? 0);
}

/** Joins a room of one, and says how media would go. */
export async function mediaPath(token: string): Promise<MediaPath> {
  const room = new Room();
  try {
    await room.connect(location.origin.replace(/^http/, "ws"), token);
    // Nothing is subscribed to and nothing published yet, so nothing has asked for a connection: publishing a
    // silent track does.
    const audio = new AudioContext();
    const [silence] = audio.createMediaStreamDestination().stream.getAudioTracks();
    if (silence !== undefined) await room.localParticipant.publishTrack(silence);
    const path = await pathOf(room);
    await audio.close();
    return path;
  } finally {
    await room.disconnect();
  }
}

async function pathOf(room: Room): Promise<MediaPath> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const stats = await room.engine.pcManager?.publisher.getStats();
    const reports = [...(stats?.values() ?? [])] as Record<string, unknown>[];
    const pair = reports.find((one) => one["type"] === "candidate-pair" && one["nominated"] === true && one["state"] === "succeeded");
    const local = reports.find((one) => one["id"] === pair?.["localCandidateId"]);
    if (local !== undefined) {
      const seconds = pair?.["currentRoundTripTime"];
      return {
        protocol: String(local["protocol"]).toUpperCase(),
        roundTripMs: typeof seconds === "number" ? Math.round(seconds * 1000) : null,
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("no path was found");
}
