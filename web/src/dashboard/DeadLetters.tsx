import { useState } from "react";
import { ApiProblem, sayError } from "../api";
import { text } from "../strings";
import { timeOf } from "./format";
import { asMe, type DeadLetter } from "./model";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard;
const PATH = "/api/v1/webhooks/dead-letters";
const LOOK_MS = 15_000;

/** Webhooks that were given up. */
export function DeadLetters() {
  const [letters, setLetters] = useState<readonly DeadLetter[] | null>(null);
  const [problem, setProblem] = useState("");
  const look = async () => {
    try {
      setLetters(await asMe<DeadLetter[]>(PATH));
      setProblem("");
    } catch (error) {
      const off = error instanceof ApiProblem && error.status === 404;
      setProblem(off ? WORDS.webhooksOff : WORDS.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, PATH);
  const retry = (id: number) => {
    asMe(`${PATH}/${id}/retry`, "POST")
      .then(look)
      .catch((error: unknown) => {
        setProblem(text.room.failed(sayError(error)));
      });
  };
  return (
    <section aria-labelledby="letters">
      <h2 id="letters">{WORDS.webhooks}</h2>
      {problem !== "" && <p className="status">{problem}</p>}
      {letters?.length === 0 && <p className="status">{WORDS.noWebhooks}</p>}
      <ul className="plain-list">
        {letters?.map(({ id, event, url, attempts, last_error: error, given_up_at: at }) => (
          <li key={id} className="row">
            {timeOf(at)} · {event} · {url} · {WORDS.attempts}: {attempts} · {error}
            <button
              type="button"
              className="quiet small"
              onClick={() => {
                retry(id);
              }}
            >
              {WORDS.retry}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
