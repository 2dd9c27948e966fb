import "../phone/phone.css";
import { type SubmitEvent, useEffect, useState, useSyncExternalStore } from "react";
import { Field, Problem } from "../account/fields";
import { Page, show } from "../parts/Page";
import { CallList } from "../phone/CallList";
import { CallPanel } from "../phone/CallPanel";
import { Dialler } from "../phone/Dialler";
import { isBusy, type PhoneState } from "../phone/model";
import { Phone } from "../phone/phone";
import { text } from "../strings";

const WORDS = text.phone;
const phone = new Phone(location.host, location.protocol === "https:");

function sayLine({ line, who, problem }: PhoneState): string {
  switch (line) {
    case "registered":
      return WORDS.state.registered(who);
    case "refused":
      return problem;
    default:
      return WORDS.state[line];
  }
}

function PhonePage() {
  const state = useSyncExternalStore(phone.subscribe, phone.read);
  useEffect(() => {
    const leave = () => {
      phone.signOut();
    };
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
    };
  }, []);
  const off = state.line === "off" || state.line === "refused";
  const dial = (number: string, pictures = false) => {
    phone.dial(number, pictures);
  };
  const ready = state.line === "registered" && !isBusy(state);
  return (
    <Page title={WORDS.title}>
      <div className="phone-line" data-line={state.line}>
        <p role="status" className="status">
          {state.line === "refused" ? "" : sayLine(state)}
        </p>
        {!off && (
          <button
            type="button"
            className="quiet small"
            onClick={() => {
              phone.signOut();
            }}
          >
            {WORDS.signOut}
          </button>
        )}
      </div>
      {state.line === "refused" && <Problem>{sayLine(state)}</Problem>}
      {off && <SignIn />}
      <div className="phone">
        {state.call !== null && <CallPanel key={state.call.id} phone={phone} call={state.call} aside={state.aside} />}
        {ready && <Dialler onDial={dial} />}
        {!off && <CallList list={state.list} onDial={ready ? dial : null} />}
      </div>
    </Page>
  );
}

function SignIn() {
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    phone.signIn(username.trim(), password);
  };
  return (
    <>
      <p className="lead">{WORDS.lead}</p>
      <form className="card column" onSubmit={submit}>
        <Field label={WORDS.username} value={username} onValue={setUsername} complete="username" />
        <Field label={WORDS.password} type="password" value={password} onValue={setPassword} complete="current-password" />
        <button type="submit">{WORDS.signIn}</button>
      </form>
    </>
  );
}

show(<PhonePage />);
