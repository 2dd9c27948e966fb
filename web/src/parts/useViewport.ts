import { type RefObject, useEffect } from "react";
import { showAt } from "../webrtc/events";
import type { MediaResource } from "../webrtc/http";

/** How long a size must stay before it is told. */
const STEADY_MS = 400;

/** Tells the server how large the player is, whenever that has changed; not at first, when all are welcome. */
export function useViewport(player: RefObject<HTMLVideoElement | null>, resource: MediaResource | null): void {
  useEffect(() => {
    const element = player.current;
    if (element === null || resource === null) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let first = true;
    const observer = new ResizeObserver(() => {
      const { clientWidth, clientHeight } = element;
      const small = clientWidth * devicePixelRatio < SMALL;
      if (first && !small) {
        first = false;
        return;
      }
      first = false;
      clearTimeout(timer);
      timer = setTimeout(() => {
        // Without the extension the line alone decides.
        showAt(resource, clientWidth * devicePixelRatio, clientHeight * devicePixelRatio).catch(() => undefined);
      }, STEADY_MS);
    });
    observer.observe(element);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
    };
  }, [player, resource]);
}

/** A player narrower than this is told from the start. */
const SMALL = 800;
