import { useEffect, useRef } from "react";
import { text } from "../strings";

/** How loud a microphone is, as a bar; drawn without React, thirty times a second. */
export function Level({ stream }: { stream: MediaStream | null }) {
  const bar = useRef<HTMLMeterElement>(null);
  useEffect(() => {
    if (stream === null || stream.getAudioTracks().length === 0) {
      if (bar.current !== null) bar.current.value = 0;
      return;
    }
    const audio = new AudioContext();
    const analyser = new AnalyserNode(audio, { fftSize: 1024 });
    audio.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
      if (bar.current !== null) bar.current.value = levelOf(power);
    }, 33);
    return () => {
      clearInterval(timer);
      void audio.close();
    };
  }, [stream]);
  return <meter ref={bar} className="level" min={0} max={1} aria-label={text.lobby.level} data-level />;
}

const QUIETEST_DB = -60;

/** A mean square of samples on a scale from 0 (-60 dB and less) to 1 (full). */
export function levelOf(power: number): number {
  const db = power > 0 ? 10 * Math.log10(power) : QUIETEST_DB;
  return Math.min(1, Math.max(0, 1 - db / QUIETEST_DB));
}
