import { useState } from "react";
import { asMe } from "../account/asMe";
import { sayError } from "../api";
import { Table } from "../parts/Table";
import { text } from "../strings";
import { timeOf } from "./format";
import { Outcome } from "./Outcome";
import { useAct } from "./useAct";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.streams;
const LOOK_MS = 3000;

interface StreamInfo {
  readonly name: string;
  readonly state: "starting" | "live" | "waiting" | "paused" | "ended";
  readonly publishers: readonly string[];
  readonly tracks: readonly { readonly name: string; readonly codec: string; readonly width: number | null; readonly height: number | null }[];
  readonly created_at: number;
  readonly webrtc_viewers: number;
  readonly hls_viewers: number;
  readonly warnings: Readonly<Record<string, number>>;
}

/** Rooms that are live: what they carry, what is wrong with it; and going live. */
export function Streams() {
  const [streams, setStreams] = useState<readonly StreamInfo[] | null>(null);
  const [failed, setFailed] = useState("");
  const look = async () => {
    try {
      setStreams(await asMe<StreamInfo[]>("/api/v1/streams"));
      setFailed("");
    } catch (error) {
      setFailed(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, "streams");
  const { notice, problem, act } = useAct(look);
  const end = ({ name }: StreamInfo) => {
    if (confirm(WORDS.sure(name))) act({ path: `/api/v1/streams/${encodeURIComponent(name)}`, method: "DELETE", done: WORDS.isEnded(name) });
  };
  return (
    <section aria-labelledby="streams">
      <h2 id="streams">{WORDS.title}</h2>
      <Begin
        onBegin={(room, sound) => {
          act({ path: "/api/v1/streams", method: "POST", body: { room, sound }, done: WORDS.begun(room) });
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
            cells: [
              <a key="play" href={`/play/?room=${encodeURIComponent(stream.name)}`}>
                {stream.name}
              </a>,
              WORDS.state[stream.state],
              stream.publishers.join(", "),
              stream.tracks.map(sayTrack).join(", "),
              WORDS.viewers(stream.hls_viewers, stream.webrtc_viewers),
              Object.entries(stream.warnings).map(([warning, count]) => `${WORDS.warning[warning as keyof typeof WORDS.warning]} (${count})`).join(", "),
              timeOf(stream.created_at),
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
    </section>
  );
}

function sayTrack({ codec, width, height }: StreamInfo["tracks"][number]): string {
  return width === null || height === null ? codec : `${codec} ${width}×${height}`;
}

function Begin({ onBegin }: { onBegin: (room: string, sound: "one" | "mix") => void }) {
  const [room, setRoom] = useState("");
  const [mixed, setMixed] = useState(true);
  return (
    <form
      className="filters"
      onSubmit={(event) => {
        event.preventDefault();
        onBegin(room.trim(), mixed ? "mix" : "one");
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
          checked={mixed}
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
