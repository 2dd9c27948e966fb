import { useEffect, useState } from "react";
import { follow, VIEWER_EVENTS } from "../webrtc/events";
import type { MediaResource } from "../webrtc/http";
import { type BandwidthReport, extend, type LayerReport, type LineSample } from "../webrtc/line";

/** What is known of the line of a viewer's resource. */
export interface Line {
  readonly report: BandwidthReport;
  readonly samples: readonly LineSample[];
  readonly layers: readonly LayerReport[];
}

/** Follows the line of a resource while there is one. */
export function useLine(resource: MediaResource | null): Line | null {
  const [report, setReport] = useState<BandwidthReport | null>(null);
  const [samples, setSamples] = useState<readonly LineSample[]>([]);
  const [layers, setLayers] = useState<readonly LayerReport[]>([]);
  useEffect(() => {
    if (resource === null) return;
    let current = true;
    let stop = () => {
      current = false;
    };
    const measure = arrivals(resource.pc);
    const onReport = async (told: BandwidthReport) => {
      const arriving = await measure();
      if (!current) return;
      setReport(told);
      setSamples((before) => extend(before, told, arriving));
    };
    void follow(resource, VIEWER_EVENTS, {
      bandwidth: (data) => void onReport(data as BandwidthReport),
      layers: (data) => {
        setLayers(Object.values(data as Record<string, LayerReport[]>)[0] ?? []);
      },
    })
      .then((close) => {
        if (!current) close();
        stop = () => {
          current = false;
          close();
        };
      })
      // Without the extension there is nothing to show; the picture does not depend on it.
      .catch(() => undefined);
    return () => {
      stop();
    };
  }, [resource]);
  return resource === null || report === null ? null : { report, samples, layers };
}

/** Bits per second that arrive, between one call and the next. */
function arrivals(pc: RTCPeerConnection): () => Promise<number> {
  let before: { bytes: number; at: number } | null = null;
  return async () => {
    const all = [...(await pc.getStats()).values()] as Record<string, unknown>[];
    const inbound = all.filter((entry) => entry["type"] === "inbound-rtp");
    const bytes = inbound.reduce((sum, entry) => sum + Number(entry["bytesReceived"] ?? 0), 0);
    const now = { bytes, at: performance.now() };
    const rate = before === null || now.at <= before.at ? 0 : ((now.bytes - before.bytes) * 8000) / (now.at - before.at);
    before = now;
    return Math.max(0, rate);
  };
}
