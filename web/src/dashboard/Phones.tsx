import { useState } from "react";
import { asMe } from "../account/asMe";
import { sayError } from "../api";
import { type Row, Table } from "../parts/Table";
import { text } from "../strings";
import { timeOf } from "./format";
import type { PhoneCall, PhoneRegistration, TrunkInfo } from "./model";
import { Outcome } from "./Outcome";
import { useAct } from "./useAct";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.phones;
const LOOK_MS = 2000;

interface Seen {
  readonly calls: readonly PhoneCall[];
  readonly registrations: readonly PhoneRegistration[];
  readonly trunks: readonly TrunkInfo[];
}

async function readPhones(): Promise<Seen> {
  const [calls, registrations, trunks] = await Promise.all([
    asMe<PhoneCall[]>("/api/v1/calls"),
    asMe<PhoneRegistration[]>("/api/v1/registrations"),
    asMe<TrunkInfo[]>("/api/v1/trunks"),
  ]);
  return { calls, registrations, trunks };
}

/** Calls that go on, phones that are registered, trunks and how they are; looked at again and again. */
export function Phones() {
  const [seen, setSeen] = useState<Seen | null>(null);
  const [failed, setFailed] = useState("");
  const look = async () => {
    try {
      setSeen(await readPhones());
      setFailed("");
    } catch (error) {
      setFailed(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, "phones");
  const { notice, problem, act } = useAct(look);
  const hangUp = (call: PhoneCall) => {
    if (!window.confirm(WORDS.sure(call.caller, call.called))) return;
    const path = `/api/v1/calls/${encodeURIComponent(call.id)}`;
    act({ path, method: "DELETE", done: WORDS.hungUp(call.caller, call.called) });
  };
  return (
    <>
      <Outcome notice={notice} problem={problem === "" ? failed : problem} />
      {seen !== null && (
        <>
          <Listed id="calls" title={WORDS.calls} none={WORDS.noCalls} headings={WORDS.callHeadings} rows={seen.calls.map((call) => callRow(call, hangUp))} />
          <Listed
            id="registrations"
            title={WORDS.registrations}
            none={WORDS.noRegistrations}
            headings={WORDS.registrationHeadings}
            rows={seen.registrations.map(registrationRow)}
          />
          <Listed id="trunks" title={WORDS.trunks} none={WORDS.noTrunks} headings={WORDS.trunkHeadings} rows={seen.trunks.map(trunkRow)} />
        </>
      )}
    </>
  );
}

interface ListedProps {
  readonly id: string;
  readonly title: string;
  readonly none: string;
  readonly headings: readonly string[];
  readonly rows: readonly Row[];
}

function Listed({ id, title, none, headings, rows }: ListedProps) {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {rows.length === 0 ? <p className="status">{none}</p> : <Table labelledBy={id} headings={headings} rows={rows} />}
    </section>
  );
}

function callRow(call: PhoneCall, hangUp: (call: PhoneCall) => void): Row {
  return {
    key: call.id,
    attributes: { "data-phone-call": call.state },
    cells: [
      call.caller,
      call.called,
      WORDS.callState[call.state],
      timeOf(call.answered_at ?? call.begun_at),
      call.codec,
      <button
        key="end"
        type="button"
        className="quiet small"
        aria-label={WORDS.hangUpWhat(call.caller, call.called)}
        onClick={() => {
          hangUp(call);
        }}
      >
        {WORDS.hangUp}
      </button>,
    ],
  };
}

function registrationRow(one: PhoneRegistration): Row {
  return {
    key: `${one.account} ${one.contact}`,
    attributes: { "data-registration": one.account },
    cells: [one.account, one.transport.toUpperCase(), one.address, one.user_agent, timeOf(one.registered_at), timeOf(one.expires_at)],
  };
}

function trunkRow(trunk: TrunkInfo): Row {
  const error = trunk.last_error === "" ? "" : ` ${trunk.last_error}`;
  return {
    key: trunk.name,
    attributes: { "data-trunk": trunk.state },
    cells: [trunk.name, trunk.uri, `${WORDS.trunkState[trunk.state]}${error}`, trunk.next_try_at === null ? "" : timeOf(trunk.next_try_at)],
  };
}
