import { useState } from "react";
import { sayError } from "../api";
import { Table } from "../parts/Table";
import { text } from "../strings";
import { timeOf } from "./format";
import { Outcome } from "./Outcome";
import { readStreams, type ShownStream } from "./streams";
import { StreamViewers } from "./StreamViewers";
import { useAct } from "./useAct";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.streams;
const LOOK_MS = 3000;

/** Rooms and encoders that are live: what they carry, who watches, what is wrong with it; and going live. */
export function Streams() {
  const [streams, setStreams] = useState<readonly ShownStream[] | null>(null);
  const [chosen, setChosen] = useState("");
  const [failed, setFailed] = useState("");
  const look = async () => {
    try {
      setStreams(await readStreams());
      setFailed("");
    } catch (error) {
      setFailed(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, "streams");
  const { notice, problem, act } = useAct(look);
  const end = ({ name, path }: ShownStream) => {
    if (confirm(WORDS.sure(name))) act({ path, method: "DELETE", done: WORDS.isEnded(name) });
  };
  return (
    <section aria-labelledby="streams">
      <h2 id="streams">{WORDS.title}</h2>
      <Begin
        onBegin={(wish) => {
          act({ path: "/api/v1/streams", method: "POST", body: wish, done: WORDS.begun(wish.room) });
        }}
      />
      <Outcome notice={notice} problem={problem === "" ? failed : problem} />
      {streams?.length === 0 && <p className="status">{WORDS.none}</p>}
      {streams !== null && streams.length > 0 && (
        <Table
          labelledBy="streams"
          headings={WORDS.headings}
          rows={streams.map((stream) => ({
            key: stream.name,
            attributes: { "data-stream": stream.name },
            chosen: chosen === stream.name,
            cells: [
              <a key="play" href={`/play/?room=${encodeURIComponent(stream.name)}`}>
                {stream.name}
              </a>,
              WORDS.state[stream.state],
              stream.from,
              stream.tracks.join(", "),
              <button
                key="viewers"
                type="button"
                className="small"
                aria-expanded={chosen === stream.name}
                aria-label={WORDS.whoWatches(stream.name, WORDS.viewers(stream.hlsViewers, stream.webrtcViewers))}
                onClick={() => {
                  setChosen(chosen === stream.name ? "" : stream.name);
                }}
              >
                {WORDS.viewers(stream.hlsViewers, stream.webrtcViewers)}
              </button>,
              Object.entries(stream.warnings).map(sayWarning).join(", "),
              timeOf(stream.since),
              <button
                key="end"
                type="button"
                className="small danger"
                aria-label={WORDS.endWhat(stream.name)}
                onClick={() => {
                  end(stream);
                }}
              >
                {WORDS.end}
              </button>,
            ],
          }))}
        />
      )}
      {streams?.some(({ name }) => name === chosen) === true && <StreamViewers key={chosen} stream={chosen} />}
    </section>
  );
}

function sayWarning([warning, count]: [string, number]): string {
  // Warnings of the packager have words here; those about an encoder are said in words already.
  const words: Readonly<Record<string, string | undefined>> = WORDS.warning;
  return `${words[warning] ?? warning} (${count})`;
}

interface Wish {
  room: string;
  sound: "one" | "mix";
  picture: "first" | "speaker" | "program";
}

function Begin({ onBegin }: { onBegin: (wish: Wish) => void }) {
  const [room, setRoom] = useState("");
  const [following, setFollowing] = useState(true);
  const [mixed, setMixed] = useState(true);
  const [program, setProgram] = useState(false);
  return (
    <form
      className="filters"
      onSubmit={(event) => {
        event.preventDefault();
        onBegin({
          room: room.trim(),
          sound: mixed || program ? "mix" : "one",
          picture: program ? "program" : following ? "speaker" : "first",
        });
      }}
    >
      <label>
        {WORDS.room}
        <input
          value={room}
          required
          maxLength={64}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          onChange={(event) => {
            setRoom(event.target.value);
          }}
        />
      </label>
      <label>
        <input
          type="checkbox"
          checked={program}
          onChange={(event) => {
            setProgram(event.target.checked);
          }}
        />
        {WORDS.program}
      </label>
      <label>
        <input
          type="checkbox"
          disabled={program}
          checked={following || program}
          onChange={(event) => {
            setFollowing(event.target.checked);
          }}
        />
        {WORDS.following}
      </label>
      <label>
        <input
          type="checkbox"
          disabled={program}
          checked={mixed || program}
          onChange={(event) => {
            setMixed(event.target.checked);
          }}
        />
        {WORDS.mixed}
      </label>
      <button type="submit">{WORDS.begin}</button>
    </form>
  );
}
