import { useState } from "react";
import { sayError } from "../api";

/** Runs one piece of work at a time and keeps what went wrong. */
export function useWork() {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState("");
  const run = (work: () => Promise<void>): void => {
    setBusy(true);
    setProblem("");
    work()
      .catch((error: unknown) => {
        setProblem(sayError(error));
      })
      .finally(() => {
        setBusy(false);
      });
  };
  return { busy, problem, run };
}
