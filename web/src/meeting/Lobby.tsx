import { type SubmitEvent, useEffect, useRef, useState } from "react";
import { sayError, type ServerOffer } from "../api";
import { Page } from "../parts/Page";
import { text } from "../strings";
import { tokenForCheck } from "./access";
import { type Choices, keepChoices, keptChoices, OFF } from "./choices";
import { Level } from "./Level";
import { useDevices } from "./useDevices";

const WORDS = text.lobby;

interface LobbyProps {
  readonly room: string;
  readonly offer: ServerOffer;
  /** A guest says its name here; accounts and given tokens have one. */
  readonly guest: boolean;
  readonly problem: string;
  readonly busy: boolean;
  readonly onJoin: (choices: Choices) => void;
}

/** Before the room: a name, devices, how one looks and sounds, and whether the network is good enough. */
export function Lobby({ room, offer, guest, problem, busy, onJoin }: LobbyProps) {
  const [choices, setChoices] = useState(keptChoices);
  const { list, stream, problem: deviceProblem } = useDevices(choices.camera, choices.microphone);
  const preview = useRef<HTMLVideoElement>(null);
  const choose = (changed: Partial<Choices>) => {
    setChoices({ ...choices, ...changed });
  };
  useEffect(() => {
    if (preview.current !== null) preview.current.srcObject = stream;
  }, [stream]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    keepChoices(choices);
    onJoin(choices);
  };
  return (
    <Page title={WORDS.title(room)}>
      <p className="lead">{WORDS.lead}</p>
      <div className="lobby">
        <div>
          <div className="stage">
            <video ref={preview} autoPlay muted playsInline className="mirror" aria-label={WORDS.preview} />
            {choices.camera === OFF && <p className="veil">{WORDS.cameraOff}</p>}
          </div>
          <Level stream={stream} />
          {deviceProblem !== "" && (
            <p role="status" className="status bad">
              {deviceProblem}
            </p>
          )}
        </div>
        <form className="card column" onSubmit={submit}>
          {guest && (
            <label>
              {WORDS.name}
              <input
                value={choices.name}
                required
                maxLength={128}
                autoComplete="name"
                onChange={(event) => {
                  choose({ name: event.target.value });
                }}
              />
            </label>
          )}
          <Device label={WORDS.camera} kind="videoinput" list={list} value={choices.camera} onValue={(camera) => { choose({ camera }); }} />
          <Device label={WORDS.microphone} kind="audioinput" list={list} value={choices.microphone} onValue={(microphone) => { choose({ microphone }); }} />
          <Device label={WORDS.speaker} kind="audiooutput" list={list} value={choices.speaker} onValue={(speaker) => { choose({ speaker }); }} />
          {guest && (
            <label className="check">
              <input
                type="checkbox"
                checked={choices.moderate}
                onChange={(event) => {
                  choose({ moderate: event.target.checked });
                }}
              />
              {WORDS.moderate}
            </label>
          )}
          <button type="submit" disabled={busy}>
            {busy ? WORDS.joining : WORDS.join}
          </button>
          {problem !== "" && (
            <p role="alert" className="status bad">
              {problem}
            </p>
          )}
          <NetworkCheck guests={offer.guests} speaker={choices.speaker} />
        </form>
      </div>
    </Page>
  );
}

interface DeviceProps {
  readonly label: string;
  readonly kind: MediaDeviceKind;
  readonly list: readonly MediaDeviceInfo[];
  readonly value: string;
  readonly onValue: (id: string) => void;
}

function Device({ label, kind, list, value, onValue }: DeviceProps) {
  const mine = list.filter((device) => device.kind === kind && device.deviceId !== "default");
  return (
    <label>
      {label}
      <select
        value={value}
        onChange={(event) => {
          onValue(event.target.value);
        }}
      >
        <option value="">{WORDS.systemDefault}</option>
        {mine.map(({ deviceId, label: name }, index) => (
          <option key={deviceId} value={deviceId}>
            {name === "" ? `${label} ${index + 1}` : name}
          </option>
        ))}
        {kind !== "audiooutput" && <option value={OFF}>{WORDS.none}</option>}
      </select>
    </label>
  );
}

function NetworkCheck({ guests, speaker }: { guests: boolean; speaker: string }) {
  const [lines, setLines] = useState<readonly string[]>([]);
  const [busy, setBusy] = useState(false);
  const check = async () => {
    setBusy(true);
    const said: string[] = [];
    const say = (line: string) => {
      said.push(line);
      setLines([...said]);
    };
    setLines([]);
    try {
      const { roundTrip, mediaPath } = await import("./network");
      const answered = await roundTrip();
      say(text.network.server(answered));
      const token = await tokenForCheck(guests);
      if (token !== null) {
        const { protocol, roundTripMs } = await mediaPath(token);
        say(text.network.media(protocol, roundTripMs));
      }
      say(answered < 300 ? text.network.good : text.network.poor);
    } catch (error) {
      say(said.length === 0 ? text.network.serverFailed : text.network.mediaFailed(sayError(error)));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="check-network">
      <p className="row">
        <button type="button" className="quiet" disabled={busy} onClick={() => void check()}>
          {busy ? WORDS.checking : WORDS.check}
        </button>
        <button type="button" className="quiet" onClick={() => void tone(speaker)}>
          {WORDS.testTone}
        </button>
      </p>
      <div role="status" data-network>
        {lines.map((line) => (
          <p key={line}>{line}</p>
        ))}
      </div>
    </div>
  );
}

/** Half a second of a tone from the chosen loudspeaker. */
async function tone(speaker: string): Promise<void> {
  const audio = new AudioContext();
  if (speaker !== "" && "setSinkId" in audio) await (audio.setSinkId as (id: string) => Promise<void>)(speaker);
  const source = new OscillatorNode(audio, { frequency: 440 });
  const gain = new GainNode(audio, { gain: 0.2 });
  source.connect(gain).connect(audio.destination);
  source.start();
  source.stop(audio.currentTime + 0.5);
  source.onended = () => void audio.close();
}
