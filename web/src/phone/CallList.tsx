import { timeOf } from "../dashboard/format";
import { Table } from "../parts/Table";
import { text } from "../strings";
import { type Entry, lasted } from "./model";

const WORDS = text.phone;

function sayOutcome({ outcome, why }: Entry): string {
  return outcome === "failed" ? WORDS.outcome.failed(why) : WORDS.outcome[outcome];
}

/** The calls of this window, the newest first; each can be called again. */
export function CallList({ list, onDial }: { list: readonly Entry[]; onDial: ((number: string) => void) | null }) {
  return (
    <section aria-labelledby="list">
      <h2 id="list">{WORDS.list}</h2>
      {list.length === 0 ? (
        <p className="status">{WORDS.empty}</p>
      ) : (
        <Table
          labelledBy="list"
          headings={WORDS.headings}
          rows={list.map((entry) => ({
            key: entry.id,
            attributes: { "data-entry": entry.outcome },
            cells: [
              <button
                key="again"
                type="button"
                className="plain"
                disabled={onDial === null}
                title={WORDS.callAgain(entry.peer)}
                onClick={() => onDial?.(entry.peer)}
              >
                {(entry.direction === "in" ? WORDS.from : WORDS.to)(entry.peer)}
              </button>,
              timeOf(entry.at / 1000),
              entry.seconds === null ? "" : lasted(entry.seconds),
              sayOutcome(entry),
            ],
          }))}
        />
      )}
    </section>
  );
}
