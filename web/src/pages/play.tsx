import { useEffect, useRef, useState } from "react";
import { signedIn } from "../account/credentials";
import { LivePanel } from "../live/LivePanel";
import { type LivePlayer, playLive } from "../live/player";
import { isBehind, isDenied, type LiveReport, sayTrouble } from "../live/report";
import { givenToken, roomName } from "../parts/address";
import { Page, show } from "../parts/Page";
import { text } from "../strings";

const AGAIN_MS = 2_000;
const REPORT_MS = 500;
const master = `/live/${encodeURIComponent(roomName)}/index.m3u8`;

/** Where the server answers a token with a redirect to what is open to its holder: the one given, or the account's. */
async function playlist(): Promise<string> {
  const token = givenToken() ?? (await signedIn())?.token ?? null;
  return token === null ? master : `${master}?token=${encodeURIComponent(token)}`;
}

function Play() {
  const video = useRef<HTMLVideoElement>(null);
  const player = useRef<LivePlayer | null>(null);
  const [status, setStatus] = useState<string>(text.line.connecting);
  const [muted, setMuted] = useState(true);
  const [report, setReport] = useState<LiveReport | null>(null);
  const [lines, setLines] = useState<readonly string[]>([]);
  const [subtitles, setSubtitles] = useState<number | null>(null);
  const [denied, setDenied] = useState(false);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    const element = video.current;
    if (element === null) return;
    let later: ReturnType<typeof setTimeout> | undefined;
    const stop = () => {
      player.current?.close();
      player.current = null;
      setReport(null);
      setLines([]);
      setSubtitles(null);
    };
    const again = () => {
      stop();
      later = setTimeout(() => void play(), AGAIN_MS);
    };
    let left = false;
    const play = async () => {
      const url = await playlist();
      if (left) return;
      player.current = playLive(element, url, {
        onPlaying: () => {
          setStatus(text.line.live);
        },
        onSubtitles: setLines,
        onTrouble: (code, what) => {
          setStatus(sayTrouble(code, what));
          if (!isDenied(code, what)) {
            again();
            return;
          }
          stop();
          setDenied(true);
        },
      });
    };
    const onEnded = () => {
      setStatus(text.play.ended);
      again();
    };
    element.addEventListener("ended", onEnded);
    void play();
    const ticking = setInterval(() => {
      if (player.current !== null) setReport(player.current.report());
    }, REPORT_MS);
    return () => {
      left = true;
      element.removeEventListener("ended", onEnded);
      clearTimeout(later);
      clearInterval(ticking);
      player.current?.close();
      player.current = null;
    };
  }, [attempt]);

  return (
    <Page title={text.play.title(roomName)}>
      <div className="stage">
        <video ref={video} playsInline muted={muted} aria-label={text.watch.picture(roomName)} />
        <p className="subtitles" data-subtitles>
          {lines.join("\n")}
        </p>
        <div className="over">
          <span role="status" data-status className={denied ? "bad" : ""}>
            {status}
          </span>
          <span>
            {denied && (
              <>
                <button
                  type="button"
                  onClick={() => {
                    setDenied(false);
                    setStatus(text.line.connecting);
                    setAttempt(attempt + 1);
                  }}
                >
                  {text.watch.again}
                </button>{" "}
              </>
            )}
            {report !== null && isBehind(report) && (
              <>
                <button type="button" onClick={() => player.current?.jump()}>
                  {text.play.jump}
                </button>{" "}
              </>
            )}
            {report !== null && report.subtitles.length > 0 && (
              <>
                <select
                  aria-label={text.play.subtitles}
                  value={subtitles ?? ""}
                  onChange={({ target: { value } }) => {
                    const at = value === "" ? null : Number(value);
                    setSubtitles(at);
                    player.current?.showSubtitles(at);
                  }}
                >
                  <option value="">{text.play.noSubtitles}</option>
                  {report.subtitles.map((name, at) => (
                    <option key={name} value={at}>
                      {name}
                    </option>
                  ))}
                </select>{" "}
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
        <a href={master}>{text.play.playlist}</a>
      </p>
    </Page>
  );
}

show(<Play />);
