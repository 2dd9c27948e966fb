import type { Track } from "livekit-client";
import { useEffect, useRef } from "react";

/** The picture of a track. */
export function Picture({ track, label, mirror, fit }: { track: Track; label: string; mirror: boolean; fit: "cover" | "contain" }) {
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const video = element.current;
    if (video === null) return;
    track.attach(video);
    return () => {
      track.detach(video);
    };
  }, [track]);
  return <video ref={element} className={`${fit}${mirror ? " mirror" : ""}`} muted playsInline aria-label={label} />;
}

/** The sound of a track. */
export function Sound({ track }: { track: Track }) {
  const element = useRef<HTMLAudioElement>(null);
  useEffect(() => {
    const audio = element.current;
    if (audio === null) return;
    track.attach(audio);
    return () => {
      track.detach(audio);
    };
  }, [track]);
  return <audio ref={element} />;
}
