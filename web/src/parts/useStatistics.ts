import { useEffect, useState } from "react";
import { type StatLine, Statistics } from "../webrtc/statistics";

/** Statistics of a connection, once a second while there is one. */
export function useStatistics(pc: RTCPeerConnection | null): StatLine[] {
  const [lines, setLines] = useState<StatLine[]>([]);
  useEffect(() => {
    if (pc === null) return;
    const statistics = new Statistics();
    const timer = setInterval(() => {
      void pc.getStats().then((report) => {
        setLines(statistics.lines(report));
      });
    }, 1000);
    return () => {
      clearInterval(timer);
    };
  }, [pc]);
  return pc === null ? [] : lines;
}
