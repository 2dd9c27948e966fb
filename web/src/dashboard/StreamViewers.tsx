import { useState } from "react";
import { asMe } from "../account/asMe";
import { sayError } from "../api";
import { Table } from "../parts/Table";
import { text } from "../strings";
import { timeOf } from "./format";
import { Outcome } from "./Outcome";
import type { StreamViewer } from "./streams";
import { useAct } from "./useAct";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.streams;
const LOOK_MS = 2000;

/** Who watches a live stream by HLS; each can be sent away. */
export function StreamViewers({ stream }: { stream: string }) {
  const [viewers, setViewers] = useState<readonly StreamViewer[] | null>(null);
  const [failed, setFailed] = useState("");
  const path = `/api/v1/streams/${encodeURIComponent(stream)}/viewers`;
  const look = async () => {
    try {
      setViewers(await asMe<StreamViewer[]>(path));
      setFailed("");
    } catch (error) {
      setFailed(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, stream);
  const { notice, problem, act } = useAct(look);
  const kick = (viewer: StreamViewer) => {
    const who = nameOf(viewer);
    if (confirm(WORDS.sureKick(who))) act({ path: `${path}/${viewer.id}`, method: "DELETE", done: WORDS.isKicked(who) });
  };
  return (
    <section aria-labelledby="stream-viewers" data-viewers-of={stream}>
      <h3 id="stream-viewers">{WORDS.watching(stream)}</h3>
      <Outcome notice={notice} problem={problem === "" ? failed : problem} />
      {viewers?.length === 0 && <p className="status">{WORDS.nobodyWatches}</p>}
      {viewers !== null && viewers.length > 0 && (
        <Table
          labelledBy="stream-viewers"
          headings={WORDS.viewerHeadings}
          rows={viewers.map((viewer) => ({
            key: viewer.id,
            attributes: { "data-viewer": viewer.id },
            cells: [
              viewer.identity ?? (viewer.granted ? WORDS.unnamed : WORDS.withoutToken),
              viewer.address,
              viewer.agent,
              timeOf(viewer.since),
              timeOf(viewer.seen),
              <button
                key="kick"
                type="button"
                className="small danger"
                aria-label={text.dashboard.kickWho(nameOf(viewer))}
                onClick={() => {
                  kick(viewer);
                }}
              >
                {text.dashboard.kick}
              </button>,
            ],
          }))}
        />
      )}
    </section>
  );
}

function nameOf({ identity, address, id }: StreamViewer): string {
  return identity ?? `${address} (${id.slice(0, 4)})`;
}
