import { type SubmitEvent, useEffect, useRef, useState } from "react";
import { Problem } from "../account/fields";
import { text } from "../strings";
import { Keypad } from "./Keypad";
import { type Call, dialled, type Notice } from "./model";
import type { Phone } from "./phone";

const WORDS = text.phone;

function sayStage({ stage, peer, why }: Call): string {
  if (stage === "ended") return WORDS.stage.ended(peer, why);
  return WORDS.stage[stage](peer);
}

/** The call there is, and what can be done with it. */
export function CallPanel({ phone, call, aside }: { phone: Phone; call: Call; aside: Call | null }) {
  const up = call.stage === "up";
  return (
    <section className="card call" aria-labelledby="call" data-call={call.stage}>
      <h2 id="call">{WORDS.call}</h2>
      <p role="status" className="who">
        {sayStage(call)}
      </p>
      {call.held && <p className="status">{WORDS.held}</p>}
      {call.heldThere && <p className="status">{WORDS.heldThere}</p>}
      {call.muted && <p className="status">{WORDS.mutedNow}</p>}
      {aside !== null && <p className="status">{WORDS.waits(aside.peer)}</p>}
      {call.notice !== null && <Say notice={call.notice} />}
      {call.stage !== "ended" && (
        <div className="row">
          {call.stage === "incoming" && (
            <button
              type="button"
              onClick={() => {
                phone.answer();
              }}
            >
              {WORDS.answer}
            </button>
          )}
          {call.stage === "incoming" && call.pictures && (
            <button
              type="button"
              onClick={() => {
                phone.answer(true);
              }}
            >
              {WORDS.answerWithPictures}
            </button>
          )}
          {up && aside !== null && (
            <button
              type="button"
              onClick={() => {
                phone.connect();
              }}
            >
              {WORDS.connect(aside.peer, call.peer)}
            </button>
          )}
          {up && <Switch on={call.held} words={[WORDS.hold, WORDS.resume]} onSwitch={(on) => { phone.hold(on); }} />}
          {up && <Switch on={call.muted} words={[WORDS.mute, WORDS.unmute]} onSwitch={(on) => { phone.mute(on); }} />}
          <button
            type="button"
            className="danger"
            onClick={() => {
              phone.hangUp();
            }}
          >
            {call.stage === "incoming" ? WORDS.decline : WORDS.hangUp}
          </button>
        </div>
      )}
      {up && (
        <Keypad
          onKey={(tone) => {
            phone.press(tone);
          }}
        />
      )}
      {up && call.pictures && <Pictures phone={phone} />}
      {up && aside === null && <Transfer phone={phone} />}
    </section>
  );
}

function Switch({ on, words, onSwitch }: { on: boolean; words: readonly [string, string]; onSwitch: (on: boolean) => void }) {
  return (
    <button
      type="button"
      className="quiet"
      onClick={() => {
        onSwitch(!on);
      }}
    >
      {on ? words[1] : words[0]}
    </button>
  );
}

function Say({ notice }: { notice: Notice }) {
  switch (notice.kind) {
    case "asked":
      return <p className="status">{WORDS.transferAsked(notice.to)}</p>;
    case "trying":
      return <p className="status">{WORDS.transferTrying(notice.to)}</p>;
    case "transferred":
      return <p className="status">{WORDS.transferred(notice.to)}</p>;
    case "transferFailed":
      return <Problem>{WORDS.transferFailed(notice.why)}</Problem>;
    case "backAgain":
      return <p className="status">{WORDS.backAgain}</p>;
    case "noMicrophone":
      return <Problem>{WORDS.noMicrophone(notice.why)}</Problem>;
  }
}

/** What the other side shows, and in a corner of it what it is shown. */
function Pictures({ phone }: { phone: Phone }) {
  const there = useRef<HTMLVideoElement>(null);
  const here = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const seen = phone.seen();
    if (there.current !== null) there.current.srcObject = seen.there;
    if (here.current !== null) here.current.srcObject = seen.here;
  }, [phone]);
  return (
    <div className="pictures">
      <video ref={there} autoPlay muted playsInline aria-label={WORDS.there} />
      <video ref={here} autoPlay muted playsInline aria-label={WORDS.here} className="own" />
    </div>
  );
}

function Transfer({ phone }: { phone: Phone }) {
  const [typed, setTyped] = useState("");
  const [bad, setBad] = useState(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const to = dialled(typed);
    setBad(to === null);
    if (to === null) return;
    const { submitter } = event.nativeEvent;
    if (submitter?.getAttribute("name") === "ask") phone.ask(to);
    else phone.transfer(to);
  };
  return (
    <form className="transfer" onSubmit={submit}>
      <label>
        {WORDS.transferTo}
        <input
          value={typed}
          required
          autoComplete="off"
          autoCapitalize="none"
          onChange={(event) => {
            setTyped(event.target.value);
          }}
        />
      </label>
      <button type="submit" className="quiet">
        {WORDS.transfer}
      </button>
      <button type="submit" name="ask" className="quiet">
        {WORDS.ask}
      </button>
      {bad && <Problem>{WORDS.badNumber}</Problem>}
    </form>
  );
}
