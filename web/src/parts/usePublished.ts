import { useEffect, useState } from "react";
import { apply, type QualityReport, type WantedEncoding } from "../webrtc/dynacast";
import { follow, PUBLISHER_EVENTS } from "../webrtc/events";
import type { MediaResource } from "../webrtc/http";

/** What the server tells a publisher. */
export interface Published {
  readonly wanted: readonly WantedEncoding[] | null;
  readonly quality: Readonly<Record<string, QualityReport>>;
}

/** Follows what viewers want and how the tracks arrive; with `saving` encodings that nobody wants are stopped. */
export function usePublished(resource: MediaResource | null, saving: boolean): Published {
  const [wanted, setWanted] = useState<readonly WantedEncoding[] | null>(null);
  const [quality, setQuality] = useState<Readonly<Record<string, QualityReport>>>({});
  useEffect(() => {
    if (resource === null) return;
    let close: (() => void) | null = null;
    let current = true;
    void follow(resource, PUBLISHER_EVENTS, {
      encodings: (data) => {
        setWanted((data as { encodings: WantedEncoding[] }).encodings);
      },
      quality: (data) => {
        const report = data as QualityReport;
        setQuality((before) => ({ ...before, [report.kind]: report }));
      },
    })
      .then((stop) => {
        if (!current) stop();
        close = stop;
      })
      // Without the extension there is nothing to show; publishing does not depend on it.
      .catch(() => undefined);
    return () => {
      current = false;
      close?.();
      setWanted(null);
      setQuality({});
    };
  }, [resource]);
  useEffect(() => {
    if (resource === null || wanted === null) return;
    const all = wanted.map((one) => ({ ...one, active: true }));
    // A connection that ends meanwhile needs nothing any more.
    apply(resource.pc, saving ? wanted : all).catch(() => undefined);
  }, [resource, wanted, saving]);
  return { wanted, quality };
}
