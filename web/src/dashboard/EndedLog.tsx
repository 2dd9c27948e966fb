import { useState } from "react";
import { asMe } from "../account/asMe";
import { sayError } from "../api";
import { Table } from "../parts/Table";
import { text } from "../strings";
import { type EndedEntry, merge } from "./endings";
import { durationOf, timeOf } from "./format";
import { Reason } from "./Reason";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.log;
const HEADINGS = [WORDS.when, WORDS.room, WORDS.who, WORDS.reason, WORDS.lasted];
const PAGE = 100;
const LOOK_MS = 4000;

/** Who left, which rooms closed, and why: of all rooms, also of those that are closed. */
export function EndedLog() {
  const [room, setRoom] = useState("");
  const [reason, setReason] = useState("");
  return (
    <section aria-labelledby="log">
      <h2 id="log">{WORDS.title}</h2>
      <p className="lead">{WORDS.lead}</p>
      <form
        className="filters"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
        }}
      >
        <label>
          {WORDS.room}
          <input
            type="search"
            value={room}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            onChange={(event) => {
              setRoom(event.target.value);
            }}
          />
        </label>
        <label>
          {WORDS.reason}
          <select
            value={reason}
            onChange={(event) => {
              setReason(event.target.value);
            }}
          >
            <option value="">{WORDS.anyReason}</option>
            {Object.entries(text.dashboard.reasons).map(([code, words]) => (
              <option key={code} value={code}>
                {words}
              </option>
            ))}
          </select>
        </label>
      </form>
      <Entries key={room} room={room.trim()} reason={reason} />
    </section>
  );
}

function Entries({ room, reason }: { room: string; reason: string }) {
  const [entries, setEntries] = useState<readonly EndedEntry[] | null>(null);
  const [more, setMore] = useState(false);
  const [problem, setProblem] = useState("");
  const read = async (before?: number) => {
    const asked = new URLSearchParams({ limit: String(PAGE), ...(room === "" ? {} : { room }), ...(before === undefined ? {} : { before: String(before) }) });
    try {
      const found = await asMe<EndedEntry[]>(`/api/v1/ended?${asked}`);
      // Whether there are older ones is known by the oldest page that was read.
      if (before !== undefined || entries === null) setMore(found.length === PAGE);
      setEntries((known) => merge(known ?? [], found));
      setProblem("");
    } catch (error) {
      setProblem(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(() => read(), LOOK_MS, room);
  const shown = (entries ?? []).filter((entry) => reason === "" || entry.reason === reason);
  return (
    <>
      {problem !== "" && (
        <p role="alert" className="status bad">
          {problem}
        </p>
      )}
      {entries !== null && shown.length === 0 && <p className="status">{WORDS.empty}</p>}
      {shown.length > 0 && (
        <Table
          labelledBy="log"
          headings={HEADINGS}
          rows={shown.map((entry) => ({
            key: `${entry.room_id} ${entry.number}`,
            attributes: { "data-ended-entry": entry.kind, "data-ended-room": entry.room },
            cells: [timeOf(entry.at), entry.room, <Who key="who" entry={entry} />, <Reason key="why" code={entry.reason} />, durationOf(entry.at - entry.began_at)],
          }))}
        />
      )}
      {more && (
        <p className="row">
          <button
            type="button"
            className="quiet"
            onClick={() => {
              void read(Math.min(...(entries ?? []).map(({ number }) => number)));
            }}
          >
            {WORDS.older}
          </button>
        </p>
      )}
    </>
  );
}

function Who({ entry }: { entry: EndedEntry }) {
  if (entry.kind === "room") return <em>{WORDS.wholeRoom}</em>;
  if (entry.kind === "viewer") return `${text.dashboard.viewer} ${entry.viewer ?? ""}`;
  const identity = entry.participant ?? "";
  if (entry.name === "" || entry.name === identity) return identity;
  return (
    <>
      {entry.name} <span className="aside">{identity}</span>
    </>
  );
}
