import Hls from "hls.js";
import { ahead, type LiveReport, type Variant } from "./report";
import { watchSubtitles } from "./subtitles";

/** A player of one live stream. */
export interface LivePlayer {
  report(): LiveReport;
  jump(): void;
  /** Shows subtitles by their place in the report; null: none. */
  showSubtitles(at: number | null): void;
  close(): void;
}

export interface LiveNews {
  /** Pictures come. */
  onPlaying(): void;
  /** There is nothing to play, and this player is done: what the server answered where that was it, and what failed. */
  onTrouble(status: number | undefined, what: string): void;
  /** These lines of subtitles are shown now. */
  onSubtitles(lines: readonly string[]): void;
}

/** Plays a multivariant playlist in a media element, near the live edge; by the browser itself where it must be. */
export function playLive(video: HTMLVideoElement, url: string, news: LiveNews): LivePlayer {
  return Hls.isSupported() ? withHls(video, url, news) : alone(video, url, news);
}

function withHls(video: HTMLVideoElement, url: string, news: LiveNews): LivePlayer {
  // What was played stays until the browser needs its room. When hls.js (1.7.4) itself takes it away, with a `backBufferLength`, it forgets
  // which parts of the segment that is loading it has, and asks for no further one until the segment is whole.
  const hls = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.1 });
  let stalls = 0;
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR) stalls += 1;
    if (data.fatal && data.type === Hls.ErrorTypes.MEDIA_ERROR) hls.recoverMediaError();
    else if (data.fatal) news.onTrouble(data.response?.code, data.details);
  });
  hls.on(Hls.Events.MANIFEST_PARSED, () => {
    void video.play().catch(() => undefined); // without sound it plays; with sound a click is needed
  });
  const playing = () => {
    news.onPlaying();
  };
  video.addEventListener("playing", playing);
  // The page draws them itself: the browser would under the bar of its buttons.
  hls.subtitleDisplay = false;
  const reading = new AbortController();
  watchSubtitles(video, reading.signal, (lines) => { news.onSubtitles(lines); });
  hls.loadSource(url);
  hls.attachMedia(video);
  return {
    report: () => ({
      latency: hls.latency,
      target: hls.targetLatency ?? 0,
      buffer: ahead(video.buffered, video.currentTime),
      variant: variantOf(hls),
      stalls,
      subtitles: hls.subtitleTracks.map(({ name }) => name),
    }),
    jump: () => {
      const edge = hls.liveSyncPosition;
      if (edge !== null) video.currentTime = edge;
      void video.play().catch(() => undefined);
    },
    showSubtitles: (at) => {
      hls.subtitleTrack = at ?? -1;
    },
    close: () => {
      reading.abort();
      video.removeEventListener("playing", playing);
      hls.destroy();
    },
  };
}

function variantOf(hls: Hls): Variant | null {
  const level = hls.levels[hls.currentLevel];
  if (level === undefined) return null;
  const codecs = [level.videoCodec, level.audioCodec].filter((codec) => codec !== undefined && codec !== "").join(", ");
  return { width: level.width, height: level.height, bitrate: level.bitrate, codecs };
}

/** Where there are no media sources to fill by script, the browser plays HLS itself and tells little of it. */
function alone(video: HTMLVideoElement, url: string, news: LiveNews): LivePlayer {
  const controller = new AbortController();
  const { signal } = controller;
  video.addEventListener("playing", () => { news.onPlaying(); }, { signal });
  video.addEventListener("error", () => { news.onTrouble(undefined, ""); }, { signal });
  video.src = url;
  void video.play().catch(() => undefined);
  const edge = () => (video.seekable.length > 0 ? video.seekable.end(video.seekable.length - 1) : video.currentTime);
  return {
    report: () => ({
      latency: edge() - video.currentTime,
      target: 0,
      buffer: ahead(video.buffered, video.currentTime),
      variant: { width: video.videoWidth, height: video.videoHeight, bitrate: 0, codecs: "" },
      stalls: 0,
      subtitles: [...video.textTracks].map(({ label }) => label),
    }),
    jump: () => {
      video.currentTime = edge();
    },
    showSubtitles: (shown) => {
      [...video.textTracks].forEach((track, at) => { track.mode = at === shown ? "showing" : "disabled"; });
    },
    close: () => {
      controller.abort();
      video.removeAttribute("src");
      video.load();
    },
  };
}
