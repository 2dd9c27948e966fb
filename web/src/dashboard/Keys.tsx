import { type SubmitEvent, useState } from "react";
import { asMe } from "../account/asMe";
import { Field } from "../account/fields";
import { sayError } from "../api";
import { Table } from "../parts/Table";
import { text } from "../strings";
import { timeOf } from "./format";
import { Outcome } from "./Outcome";
import { Secret } from "./Secret";
import { useAct } from "./useAct";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.keys;
const PATH = "/api/v1/keys";
const LOOK_MS = 15_000;

interface Key {
  readonly key: string;
  readonly label: string;
  readonly created_at: number | null;
  readonly created_by: string;
  readonly revoked_at: number | null;
  readonly settings: boolean;
}

interface MadeKey {
  readonly key: string;
  readonly secret: string;
}

/** Keys of servers: which there are, a new one whose secret is shown once, and their end. */
export function Keys() {
  const [keys, setKeys] = useState<readonly Key[]>([]);
  const [failed, setFailed] = useState("");
  const [label, setLabel] = useState("");
  const [made, setMade] = useState<MadeKey | null>(null);
  const look = async () => {
    try {
      setKeys(await asMe<Key[]>(PATH));
      setFailed("");
    } catch (error) {
      setFailed(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, PATH);
  const { notice, problem, act } = useAct(look);
  const make = (event: SubmitEvent) => {
    event.preventDefault();
    act<MadeKey>({
      path: PATH,
      method: "POST",
      body: { label },
      then: (answer) => {
        setMade(answer);
        setLabel("");
      },
    });
  };
  const revoke = ({ key }: Key) => {
    if (window.confirm(WORDS.sure(key))) act({ path: `${PATH}/${encodeURIComponent(key)}`, method: "DELETE", done: WORDS.revoked(key) });
  };
  return (
    <section aria-labelledby="keys">
      <h2 id="keys">{WORDS.title}</h2>
      <p className="lead">{WORDS.lead}</p>
      <form className="card" onSubmit={make}>
        <Field label={WORDS.label} value={label} onValue={setLabel} complete="off" required={false} />
        <button type="submit">{WORDS.make}</button>
      </form>
      <Outcome notice={notice} problem={problem === "" ? failed : problem} />
      {made !== null && (
        <Secret
          words={WORDS.once}
          facts={[
            [WORDS.key, made.key],
            [WORDS.secret, made.secret],
          ]}
          onClose={() => {
            setMade(null);
          }}
        />
      )}
      <Table
        labelledBy="keys"
        headings={[WORDS.key, WORDS.label, WORDS.madeBy, WORDS.madeAt, WORDS.state]}
        rows={keys.map((key) => ({
          key: key.key,
          attributes: { "data-key": key.key },
          cells: [
            <code key="key">{key.key}</code>,
            key.label === "" ? "–" : key.label,
            key.settings ? WORDS.bySettings : key.created_by,
            key.created_at === null ? "–" : timeOf(key.created_at),
            <State
              key="state"
              of={key}
              onRevoke={() => {
                revoke(key);
              }}
            />,
          ],
        }))}
      />
    </section>
  );
}

function State({ of, onRevoke }: { of: Key; onRevoke: () => void }) {
  if (of.revoked_at !== null) return WORDS.revokedAt(timeOf(of.revoked_at));
  if (of.settings) return WORDS.ofSettings;
  return (
    <button type="button" className="quiet small" aria-label={WORDS.revokeWhat(of.key)} onClick={onRevoke}>
      {WORDS.revoke}
    </button>
  );
}
