import { useState } from "react";
import { asMe } from "../account/asMe";
import { sayError } from "../api";
import { text } from "../strings";

/** Something to do at the server, and what is said when it is done. */
export interface Act<T = unknown> {
  readonly path: string;
  readonly method: string;
  readonly body?: unknown;
  readonly done?: string;
  readonly then?: (answer: T) => void;
}

/** Does one thing after the other; keeps what was done last, or why it was not. */
export function useAct(look: () => Promise<void>) {
  const [notice, setNotice] = useState("");
  const [problem, setProblem] = useState("");
  const act = <T,>({ path, method, body, done = "", then }: Act<T>) => {
    setNotice("");
    setProblem("");
    asMe<T>(path, method, body)
      .then(async (answer) => {
        then?.(answer);
        setNotice(done);
        await look();
      })
      .catch((error: unknown) => {
        setProblem(text.room.failed(sayError(error)));
      });
  };
  return { notice, problem, act };
}
