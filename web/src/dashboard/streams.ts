import { asMe } from "../account/asMe";

interface Track {
  readonly codec: string;
  readonly width: number | null;
  readonly height: number | null;
}

/** A room that is live, as the server says it. */
export interface RoomStream {
  readonly name: string;
  readonly state: "starting" | "live" | "waiting" | "paused" | "ended";
  readonly publishers: readonly string[];
  readonly tracks: readonly Track[];
  readonly created_at: number;
  readonly webrtc_viewers: number;
  readonly hls_viewers: number;
  readonly warnings: Readonly<Record<string, number>>;
}

/** What an encoder publishes, as the server says it. */
export interface EncoderStream {
  readonly name: string;
  readonly protocol: string;
  readonly remote: string;
  readonly publishing: boolean;
  readonly tracks: readonly Track[];
  readonly started_at: number;
  readonly hls_viewers: number;
  readonly warnings: Readonly<Record<string, number>>;
}

/** A live stream, wherever it comes from. */
export interface ShownStream {
  readonly name: string;
  readonly state: RoomStream["state"];
  /** Who feeds it. */
  readonly from: string;
  readonly tracks: readonly string[];
  readonly hlsViewers: number;
  readonly webrtcViewers: number;
  readonly warnings: Readonly<Record<string, number>>;
  readonly since: number;
  /** Where it is ended. */
  readonly path: string;
}

/** One who watches a live stream by HLS. */
export interface StreamViewer {
  readonly id: string;
  readonly identity: string | null;
  readonly granted: boolean;
  readonly address: string;
  readonly agent: string;
  readonly since: number;
  readonly seen: number;
  readonly playlists: number;
}

/** Live streams of rooms and of encoders, by name. */
export async function readStreams(): Promise<ShownStream[]> {
  const [rooms, encoders] = await Promise.all([asMe<RoomStream[]>("/api/v1/streams"), asMe<EncoderStream[]>("/api/v1/ingests")]);
  return shown(rooms, encoders);
}

export function shown(rooms: readonly RoomStream[], encoders: readonly EncoderStream[]): ShownStream[] {
  return [...rooms.map(ofRoom), ...encoders.map(ofEncoder)].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function ofRoom(stream: RoomStream): ShownStream {
  return {
    name: stream.name,
    state: stream.state,
    from: stream.publishers.join(", "),
    tracks: stream.tracks.map(sayTrack),
    hlsViewers: stream.hls_viewers,
    webrtcViewers: stream.webrtc_viewers,
    warnings: stream.warnings,
    since: stream.created_at,
    path: `/api/v1/streams/${encodeURIComponent(stream.name)}`,
  };
}

function ofEncoder(stream: EncoderStream): ShownStream {
  return {
    name: stream.name,
    state: stream.tracks.length === 0 ? "starting" : stream.publishing ? "live" : "waiting",
    from: `${stream.protocol.toUpperCase()} ${stream.remote}`,
    tracks: stream.tracks.map(sayTrack),
    hlsViewers: stream.hls_viewers,
    webrtcViewers: 0,
    warnings: stream.warnings,
    since: stream.started_at,
    path: `/api/v1/ingests/${encodeURIComponent(stream.name)}`,
  };
}

function sayTrack({ codec, width, height }: Track): string {
  return width === null || height === null ? codec : `${codec} ${width}×${height}`;
}
