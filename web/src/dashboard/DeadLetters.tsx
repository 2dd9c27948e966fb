import { useState } from "react";
import { asMe } from "../account/asMe";
import { sayError } from "../api";
import { text } from "../strings";
import { timeOf } from "./format";
import type { DeadLetter } from "./model";
import { Outcome } from "./Outcome";
import { useAct } from "./useAct";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.letters;
const PATH = "/api/v1/webhooks/dead-letters";
const LOOK_MS = 5000;
const PAGE = 50;

/** Webhooks that were given up: what they said, why, and what can be done with them. */
export function DeadLetters() {
  const [letters, setLetters] = useState<readonly DeadLetter[] | null>(null);
  const [limit, setLimit] = useState(PAGE);
  const [failed, setFailed] = useState("");
  const look = async () => {
    try {
      setLetters(await asMe<DeadLetter[]>(`${PATH}?limit=${limit}`));
      setFailed("");
    } catch (error) {
      setFailed(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, `${PATH} ${limit}`);
  const { notice, problem, act } = useAct(look);
  return (
    <section aria-labelledby="letters">
      <h2 id="letters">{WORDS.title}</h2>
      <p className="lead">{WORDS.lead}</p>
      <Outcome notice={notice === "" && letters?.length === 0 ? WORDS.none : notice} problem={problem === "" ? failed : problem} />
      {letters?.map((letter) => (
        <Letter
          key={letter.id}
          letter={letter}
          onRetry={() => {
            act({ path: `${PATH}/${letter.id}/retry`, method: "POST", done: WORDS.sentAgain(letter.event) });
          }}
          onForget={() => {
            if (!window.confirm(WORDS.sure(letter.event))) return;
            act({ path: `${PATH}/${letter.id}`, method: "DELETE", done: WORDS.forgotten(letter.event) });
          }}
        />
      ))}
      {letters?.length === limit && limit < 200 && (
        <p className="row">
          <button
            type="button"
            className="quiet"
            onClick={() => {
              setLimit(200);
            }}
          >
            {WORDS.more}
          </button>
        </p>
      )}
    </section>
  );
}

function Letter({ letter, onRetry, onForget }: { letter: DeadLetter; onRetry: () => void; onForget: () => void }) {
  const title = `${letter.event} · ${timeOf(letter.created_at)}`;
  return (
    <article className="card" aria-label={title} data-letter={letter.event}>
      <div className="track-head">
        <h3>{title}</h3>
        <span className="powers">
          <button type="button" className="quiet small" onClick={onRetry}>
            {WORDS.retry}
          </button>
          <button type="button" className="quiet small" onClick={onForget}>
            {WORDS.forget}
          </button>
        </span>
      </div>
      <dl className="facts">
        <dt>{WORDS.url}</dt>
        <dd>{letter.url}</dd>
        <dt>{WORDS.error}</dt>
        <dd data-error>{letter.last_error}</dd>
        <dt>{WORDS.attempts}</dt>
        <dd>{letter.attempts}</dd>
        <dt>{WORDS.givenUp}</dt>
        <dd>{timeOf(letter.given_up_at)}</dd>
      </dl>
      <details>
        <summary>{WORDS.body}</summary>
        <pre tabIndex={0}>{pretty(letter.body)}</pre>
      </details>
    </article>
  );
}

/** JSON on several lines; anything else as it is. */
function pretty(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
