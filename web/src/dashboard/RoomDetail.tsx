import { useState } from "react";
import { asMe } from "../account/asMe";
import { roomPath, sayError } from "../api";
import { text } from "../strings";
import { timeOf } from "./format";
import { type Ended, type MemberInfo, readRoom, readTracks, type RoomView } from "./model";
import { Reason } from "./Reason";
import { extend, type History, layersSent } from "./reports";
import { TrackPanel } from "./TrackPanel";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard;
const LOOK_MS = 2000;

/** One room: who is there, what arrives, who left, and what can be done about it. */
export function RoomDetail({ room }: { room: string }) {
  const [view, setView] = useState<RoomView | null>(null);
  const [history, setHistory] = useState<History>({});
  const [problem, setProblem] = useState("");
  const look = async () => {
    try {
      const [seen, tracks] = await Promise.all([readRoom(room), readTracks(room)]);
      setView(seen);
      const sent = layersSent([...seen.members, ...seen.viewers].flatMap(({ subscriptions }) => subscriptions));
      setHistory((before) => extend(before, tracks, sent));
      setProblem("");
    } catch (error) {
      setProblem(WORDS.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, room);
  const act = (path: string, method: string, body?: unknown) => {
    asMe(roomPath(room, path), method, body)
      .then(look)
      .catch((error: unknown) => {
        setProblem(text.room.failed(sayError(error)));
      });
  };
  const path = (kind: string, id: string) => `/${kind}/${encodeURIComponent(id)}`;
  return (
    <section aria-labelledby="room" data-detail={room}>
      <h2 id="room">
        {WORDS.room} {room}
      </h2>
      {problem !== "" && (
        <p role="alert" className="status bad">
          {problem}
        </p>
      )}
      {view !== null && (
        <>
          <p className="row">
            <a className="button" href={`/room/?room=${encodeURIComponent(room)}`}>
              {text.start.enter}
            </a>
            <button
              type="button"
              className="quiet"
              onClick={() => {
                act("", "PATCH", { locked: !view.info.options.locked });
              }}
            >
              {view.info.options.locked ? WORDS.unlock : WORDS.lock}
            </button>
            <button
              type="button"
              className="danger"
              onClick={() => {
                if (window.confirm(WORDS.sureRoom(room))) act("", "DELETE");
              }}
            >
              {WORDS.closeRoom}
            </button>
          </p>
          {view.members.map((member) => (
            <Member
              key={member.id}
              member={member}
              history={history}
              onKick={() => {
                if (window.confirm(WORDS.sure(member.name || member.identity))) act(path("participants", member.identity), "DELETE");
              }}
              onMute={(track, muted) => {
                act(`${path("tracks", track)}/muted`, "PUT", { muted });
              }}
            />
          ))}
          {view.viewers.length > 0 && (
            <>
              <h3>{WORDS.viewers}</h3>
              <ul className="plain-list">
                {view.viewers.map(({ id, joined_at, quality }) => (
                  <li key={id} className="row">
                    <code>{id}</code> {timeOf(joined_at)} {quality ?? ""}
                    <button
                      type="button"
                      className="quiet small"
                      aria-label={WORDS.kickWho(id)}
                      onClick={() => {
                        act(path("viewers", id), "DELETE");
                      }}
                    >
                      {WORDS.kick}
                    </button>
                  </li>
                ))}
              </ul>
            </>
          )}
          <EndedList ended={view.ended} />
        </>
      )}
    </section>
  );
}

interface MemberProps {
  readonly member: MemberInfo;
  readonly history: History;
  readonly onKick: () => void;
  readonly onMute: (track: string, muted: boolean) => void;
}

function Member({ member, history, onKick, onMute }: MemberProps) {
  const name = member.name === "" ? member.identity : member.name;
  return (
    <article className="card" data-member={member.identity}>
      <div className="track-head">
        <h3>{name}</h3>
        <button type="button" className="quiet small" aria-label={WORDS.kickWho(name)} onClick={onKick}>
          {WORDS.kick}
        </button>
      </div>
      <p className="status">
        {[member.identity, member.protocol ?? member.kind, member.state, member.quality, timeOf(member.joined_at)].filter(Boolean).join(" · ")}
      </p>
      <div className="tracks">
        {member.tracks.map((track) => (
          <TrackPanel
            key={track.id}
            track={track}
            samples={history[track.id] ?? []}
            onMute={() => {
              onMute(track.id, !track.muted_by_server);
            }}
          />
        ))}
      </div>
    </article>
  );
}

function EndedList({ ended }: { ended: readonly Ended[] }) {
  return (
    <>
      <h3>{WORDS.ended}</h3>
      {ended.length === 0 && <p className="status">{WORDS.noneEnded}</p>}
      <ul className="plain-list" data-ended-list>
        {[...ended].reverse().map(({ participant, viewer, reason, at }) => (
          <li key={`${participant ?? viewer ?? ""} ${at}`}>
            {timeOf(at)} · {participant ?? `${WORDS.viewer} ${viewer ?? ""}`} · <strong><Reason code={reason} /></strong>
          </li>
        ))}
      </ul>
    </>
  );
}
