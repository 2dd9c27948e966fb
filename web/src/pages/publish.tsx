import { useCallback, useEffect, useRef, useState } from "react";
import { endpoint, findToken, query, roomName } from "../parts/address";
import { Page, show } from "../parts/Page";
import { StatTable } from "../parts/StatTable";
import { usePublished } from "../parts/usePublished";
import { useStatistics } from "../parts/useStatistics";
import { inWords } from "../webrtc/dynacast";
import type { MediaResource } from "../webrtc/http";
import { openSource, type Size, type Source, sourceNamed } from "../webrtc/source";
import { text } from "../strings";
import { publish, scalabilityModes, sendableCodecs } from "../webrtc/whip";

const SIZE: Size = {
  width: Number(query.get("width") ?? "1280"),
  height: Number(query.get("height") ?? "720"),
  frameRate: Number(query.get("fps") ?? "30"),
};

function Publish() {
  const [source, setSource] = useState<Source>(sourceNamed(query.get("source")));
  const [codec, setCodec] = useState(query.get("codec") ?? "");
  const [simulcast, setSimulcast] = useState(query.get("simulcast") === "1");
  const [modes, setModes] = useState<string[]>([]);
  const [scalability, setScalability] = useState(query.get("svc") ?? "");
  const [maxBitrate, setMaxBitrate] = useState(Number(query.get("kbps") ?? "1700"));
  const [resource, setResource] = useState<MediaResource | null>(null);
  const [stream, setStream] = useState<MediaStream | null>(null);
  const [status, setStatus] = useState<string>(text.publish.not);
  const [failed, setFailed] = useState(false);
  const [busy, setBusy] = useState(false);
  const preview = useRef<HTMLVideoElement>(null);
  const started = useRef(false);
  const [saving, setSaving] = useState(query.get("dynacast") === "1");
  const published = usePublished(resource, saving);
  const lines = useStatistics(resource?.pc ?? null);

  const start = useCallback(async () => {
    setBusy(true);
    setFailed(false);
    setStatus(text.line.connecting);
    let opened: MediaStream | null = null;
    try {
      opened = await openSource(source, SIZE);
      const token = await findToken("publish");
      const made = await publish(endpoint("whip"), token, opened, { codec, simulcast, scalability, maxBitrate: maxBitrate * 1000 });
      made.pc.onconnectionstatechange = () => {
        setStatus(made.pc.connectionState === "connected" ? text.line.live : text.line.connection(made.pc.connectionState));
      };
      setStream(opened);
      setResource(made);
    } catch (error) {
      opened?.getTracks().forEach((track) => {
        track.stop();
      });
      setFailed(true);
      setStatus(text.problem(error));
    } finally {
      setBusy(false);
    }
  }, [source, codec, simulcast, scalability, maxBitrate]);

  const stop = useCallback(async (why: string) => {
    stream?.getTracks().forEach((track) => {
      track.stop();
    });
    setStream(null);
    setResource(null);
    try {
      await resource?.close();
      setStatus(why);
    } catch (error) {
      setFailed(true);
      setStatus(text.problem(error));
    }
  }, [stream, resource]);

  useEffect(() => {
    if (preview.current !== null) preview.current.srcObject = stream;
  }, [stream]);

  // A screen is shared until the browser's own bar ends it, a camera until it is unplugged.
  useEffect(() => {
    const picture = stream?.getVideoTracks()[0];
    const onEnded = () => void stop(text.publish.sourceEnded);
    picture?.addEventListener("ended", onEnded);
    return () => picture?.removeEventListener("ended", onEnded);
  }, [stream, stop]);

  useEffect(() => {
    if (query.get("autostart") !== "1" || started.current) return;
    started.current = true;
    void start();
  }, [start]);

  useEffect(() => {
    let current = true;
    void scalabilityModes(codec).then((found) => {
      if (current) setModes(found);
    });
    return () => {
      current = false;
    };
  }, [codec]);

  const live = resource !== null;
  return (
    <Page title={text.publish.title(roomName)}>
      <div className="stage">
        <video ref={preview} autoPlay muted playsInline aria-label={text.publish.preview} />
      </div>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void (live ? stop(text.publish.not) : start());
        }}
      >
        <label>
          {text.publish.source}
          <select
            value={source}
            disabled={live}
            onChange={(event) => {
              setSource(event.target.value as Source);
            }}
          >
            <option value="camera">{text.publish.camera}</option>
            <option value="screen">{text.publish.screen}</option>
            <option value="testcard">{text.publish.testcard}</option>
          </select>
        </label>
        <label>
          {text.publish.codec}
          <select
            value={codec}
            disabled={live}
            onChange={(event) => {
              setCodec(event.target.value);
              setScalability("");
            }}
          >
            <option value="">{text.publish.any}</option>
            {sendableCodecs().map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          {text.publish.scalability}
          <select
            value={modes.includes(scalability) ? scalability : ""}
            disabled={live || simulcast || modes.length === 0}
            title={modes.length === 0 ? text.publish.codecFirst : text.publish.layers}
            onChange={(event) => {
              setScalability(event.target.value);
            }}
          >
            <option value="">{text.publish.any}</option>
            {modes.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <label>
          {text.publish.bitrate}
          <input
            type="number"
            min={100}
            max={20000}
            value={maxBitrate}
            disabled={live}
            onChange={(event) => {
              setMaxBitrate(Number(event.target.value));
            }}
          />
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={simulcast}
            disabled={live}
            onChange={(event) => {
              setSimulcast(event.target.checked);
            }}
          />
          {text.publish.simulcast}
        </label>
        <label className="check">
          <input
            type="checkbox"
            checked={saving}
            disabled={!simulcast}
            onChange={(event) => {
              setSaving(event.target.checked);
            }}
          />
          {text.publish.saving}
        </label>
        <button type="submit" disabled={busy}>
          {live ? text.publish.stop : text.publish.start}
        </button>
      </form>
      <p className={failed ? "status bad" : "status"} role="status" data-status>
        {status}
      </p>
      {live && (
        <section className="panel tiles" aria-label={text.publish.atServer}>
          {Object.values(published.quality).map(({ kind, level, degradation }) => (
            <div key={kind} className="tile">
              <span className="name">{text.publish.arrives(kind)}</span>
              <span className={`badge ${level}`} data-quality={kind}>
                {level}
              </span>
              <span className="note">{degradation ?? ""}</span>
            </div>
          ))}
          {published.wanted !== null && (
            <div className="tile">
              <span className="name">{text.publish.want}</span>
              <span data-wanted>
                {inWords(published.wanted)}
              </span>
            </div>
          )}
        </section>
      )}
      <StatTable lines={lines} />
    </Page>
  );
}

show(<Publish />);
