import { useState } from "react";
import { asMe } from "../account/asMe";
import { sayError } from "../api";
import { Table } from "../parts/Table";
import { text } from "../strings";
import { timeOf } from "./format";
import { Outcome } from "./Outcome";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.audit;
const PAGE = 50;
const LOOK_MS = 10_000;

interface AuditEvent {
  readonly id: number;
  readonly at: number;
  readonly kind: string;
  readonly outcome: string;
  readonly account: string;
  readonly actor: string;
  readonly address: string;
  readonly detail: string;
}

/** Who did what to which account, the newest first. */
export function Audit() {
  const [events, setEvents] = useState<readonly AuditEvent[]>([]);
  const [more, setMore] = useState(false);
  const [failed, setFailed] = useState("");
  const read = async (before?: number) => {
    try {
      const found = await asMe<AuditEvent[]>(`/api/v1/audit?limit=${PAGE}${before === undefined ? "" : `&before=${before}`}`);
      if (before !== undefined || events.length === 0) setMore(found.length === PAGE);
      setEvents((known) => {
        const byId = new Map([...known, ...found].map((event) => [event.id, event]));
        return [...byId.values()].sort((a, b) => b.id - a.id);
      });
      setFailed("");
    } catch (error) {
      setFailed(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(() => read(), LOOK_MS, "audit");
  return (
    <section aria-labelledby="audit">
      <h2 id="audit">{WORDS.title}</h2>
      <p className="lead">{WORDS.lead}</p>
      <Outcome notice="" problem={failed} />
      <Table
        labelledBy="audit"
        headings={[WORDS.when, WORDS.what, WORDS.outcome, WORDS.account, WORDS.actor, WORDS.address, WORDS.detail]}
        rows={events.map((event) => ({
          key: String(event.id),
          attributes: { "data-audit": event.kind },
          cells: [timeOf(event.at), event.kind, event.outcome, event.account, event.actor, event.address, event.detail].map((value) => (value === "" ? "–" : value)),
        }))}
      />
      {more && (
        <p className="row">
          <button
            type="button"
            className="quiet"
            onClick={() => {
              void read(events.at(-1)?.id);
            }}
          >
            {text.dashboard.log.older}
          </button>
        </p>
      )}
    </section>
  );
}
