import { useEffect, useRef, useState } from "react";
import { LivePanel } from "../live/LivePanel";
import { type LivePlayer, playLive } from "../live/player";
import { isBehind, type LiveReport } from "../live/report";
import { givenToken, roomName } from "../parts/address";
import { Page, show } from "../parts/Page";
import { text } from "../strings";

const AGAIN_MS = 2_000;
const REPORT_MS = 500;
const token = givenToken();
// The server answers a token with a redirect to where the stream is open to its holder.
const playlist =
  `/live/${encodeURIComponent(roomName)}/index.m3u8` + (token === null ? "" : `?token=${encodeURIComponent(token)}`);

function Play() {
  const video = useRef<HTMLVideoElement>(null);
  const player = useRef<LivePlayer | null>(null);
  const [status, setStatus] = useState<string>(text.line.connecting);
  const [muted, setMuted] = useState(true);
  const [report, setReport] = useState<LiveReport | null>(null);

  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    let later: ReturnType<typeof setTimeout> | undefined;
    const again = () => {
      player.current?.close();
      player.current = null;
      setReport(null);
      later = setTimeout(play, AGAIN_MS);
    };
    const play = () => {
      player.current = playLive(element, playlist, {
        onPlaying: () => {
          setStatus(text.line.live);
        },
        onTrouble: (why, fatal) => {
          setStatus(why === "" ? text.play.nobody : text.play.trouble(why));
          if (fatal) again();
        },
      });
    };
    const onEnded = () => {
      setStatus(text.play.ended);
      again();
    };
    element.addEventListener("ended", onEnded);
    play();
    const ticking = setInterval(() => {
      if (player.current !== null) setReport(player.current.report());
    }, REPORT_MS);
    return () => {
      element.removeEventListener("ended", onEnded);
      clearTimeout(later);
      clearInterval(ticking);
      player.current?.close();
      player.current = null;
    };
  }, []);

  return (
    <Page title={text.play.title(roomName)}>
      <div className="stage">
        <video ref={video} playsInline muted={muted} aria-label={text.watch.picture(roomName)} />
        <div className="over">
          <span role="status" data-status>
            {status}
          </span>
          <span>
            {report !== null && isBehind(report) && (
              <>
                <button type="button" onClick={() => player.current?.jump()}>
                  {text.play.jump}
                </button>{" "}
              </>
            )}
            <button
              type="button"
              aria-pressed={!muted}
              onClick={() => {
                setMuted(!muted);
                void video.current?.play().catch(() => undefined);
              }}
            >
              {muted ? text.watch.soundOn : text.watch.soundOff}
            </button>
          </span>
        </div>
      </div>
      {report !== null && <LivePanel report={report} />}
      <p className="row">
        <a href={`/watch/?room=${encodeURIComponent(roomName)}`}>{text.play.whep}</a>
        <a href={playlist}>{text.play.playlist}</a>
      </p>
    </Page>
  );
}

show(<Play />);
