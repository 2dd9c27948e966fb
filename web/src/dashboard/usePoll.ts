import { useEffect, useEffectEvent } from "react";

/** Does something now and again and again, one after the other, while the page is shown. */
export function usePoll(work: () => Promise<void>, everyMs: number, key: string): void {
  const run = useEffectEvent(work);
  useEffect(() => {
    let timer = 0;
    let current = true;
    const again = () => {
      void run().finally(() => {
        if (current) timer = window.setTimeout(again, everyMs);
      });
    };
    again();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [everyMs, key]);
}
