import { ConnectionQuality, type Participant, type Track as TrackOf, Track } from "livekit-client";
import type { text } from "../strings";

export type Quality = keyof typeof text.room.quality;

/** Somebody in the room, as the page shows it. */
export interface Person {
  readonly identity: string;
  readonly name: string;
  readonly mine: boolean;
  readonly speaking: boolean;
  readonly quality: Quality;
  /** When the hand went up, in milliseconds; null while it is down. */
  readonly hand: number | null;
  readonly microphone: boolean;
  readonly microphoneId: string | null;
  readonly camera: TrackOf | null;
  readonly screen: TrackOf | null;
  /** What is heard of it: microphone and screen. */
  readonly sounds: readonly TrackOf[];
  readonly joinedAt: number;
}

const QUALITIES: Record<ConnectionQuality, Quality> = {
  [ConnectionQuality.Excellent]: "excellent",
  [ConnectionQuality.Good]: "good",
  [ConnectionQuality.Poor]: "poor",
  [ConnectionQuality.Lost]: "lost",
  [ConnectionQuality.Unknown]: "unknown",
};

/** Takes from a participant what the page shows. */
export function describe(participant: Participant): Person {
  const shown = (source: Track.Source) => {
    const publication = participant.getTrackPublication(source);
    return publication === undefined || publication.isMuted ? null : (publication.track ?? null);
  };
  const heard = participant.isLocal
    ? []
    : [Track.Source.Microphone, Track.Source.ScreenShareAudio].map((source) => participant.getTrackPublication(source)?.track);
  const hand = Number(participant.attributes["hand"] ?? "");
  return {
    identity: participant.identity,
    name: participant.name === undefined || participant.name === "" ? participant.identity : participant.name,
    mine: participant.isLocal,
    speaking: participant.isSpeaking,
    quality: QUALITIES[participant.connectionQuality],
    hand: hand > 0 ? hand : null,
    microphone: participant.isMicrophoneEnabled,
    microphoneId: participant.getTrackPublication(Track.Source.Microphone)?.trackSid ?? null,
    camera: shown(Track.Source.Camera),
    screen: shown(Track.Source.ScreenShare),
    sounds: heard.filter((track) => track !== undefined),
    joinedAt: participant.joinedAt?.getTime() ?? 0,
  };
}
