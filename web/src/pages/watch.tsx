import { useEffect, useRef, useState } from "react";
import { endpoint, findToken, roomName } from "../parts/address";
import { LinePanel } from "../parts/LinePanel";
import { Page, show } from "../parts/Page";
import { StatTable } from "../parts/StatTable";
import { useLine } from "../parts/useLine";
import { useViewport } from "../parts/useViewport";
import { useStatistics } from "../parts/useStatistics";
import type { MediaResource } from "../webrtc/http";
import { text } from "../strings";
import { watchWhenLive } from "../webrtc/whep";

function sayState(state: RTCPeerConnectionState): string {
  if (state === "connected") return text.line.live;
  return state === "failed" ? text.watch.ended : text.line.connection(state);
}

function Watch() {
  const player = useRef<HTMLVideoElement>(null);
  const [resource, setResource] = useState<MediaResource | null>(null);
  const [status, setStatus] = useState<string>(text.line.connecting);
  const [failed, setFailed] = useState(false);
  const [muted, setMuted] = useState(true);
  const [attempt, setAttempt] = useState(0);
  const lines = useStatistics(resource?.pc ?? null);
  const line = useLine(resource);
  useViewport(player, resource);

  useEffect(() => {
    let wanted = true;
    let mine: MediaResource | null = null;
    const play = async () => {
      const token = await findToken("subscribe");
      mine = await watchWhenLive(
        endpoint("whep"),
        token,
        (stream) => {
          if (player.current !== null) player.current.srcObject = stream;
        },
        (why) => {
          if (wanted) setStatus(why === "" ? text.watch.nobody : text.watch.waiting(why));
        },
        () => wanted,
      );
      if (mine === null) return;
      // The page went away while the offer was under way.
      if (!wanted) return mine.close();
      const { pc } = mine;
      pc.onconnectionstatechange = () => {
        if (!wanted) return;
        setFailed(pc.connectionState === "failed");
        setStatus(sayState(pc.connectionState));
      };
      setResource(mine);
    };
    play().catch((error: unknown) => {
      if (!wanted) return;
      setFailed(true);
      setStatus(text.problem(error));
    });
    const leave = () => {
      wanted = false;
      void mine?.close().catch(() => undefined);
    };
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      leave();
    };
  }, [attempt]);

  return (
    <Page title={text.watch.title(roomName)}>
      <div className="stage">
        <video ref={player} autoPlay playsInline muted={muted} aria-label={text.watch.picture(roomName)} />
        <div className="over">
          <span role="status" data-status className={failed ? "bad" : ""}>
            {status}
          </span>
          <span>
            {failed && (
              <button
                type="button"
                onClick={() => {
                  setFailed(false);
                  setStatus(text.line.connecting);
                  setAttempt(attempt + 1);
                }}
              >
                {text.watch.again}
              </button>
            )}{" "}
            <button
              type="button"
              aria-pressed={!muted}
              onClick={() => {
                setMuted(!muted);
              }}
            >
              {muted ? text.watch.soundOn : text.watch.soundOff}
            </button>
          </span>
        </div>
      </div>
      {line !== null && <LinePanel {...line} />}
      {lines.length > 0 && <h2>{text.watch.arrives}</h2>}
      <StatTable lines={lines} />
      <p className="row">
        <a href={`/play/?room=${encodeURIComponent(roomName)}`}>{text.watch.hls}</a>
      </p>
    </Page>
  );
}

show(<Watch />);
