import { type SubmitEvent, useState } from "react";
import { text } from "../strings";
import { asMe } from "./asMe";
import { keep, type LogIn } from "./credentials";
import { Done, Field, Problem } from "./fields";
import { useWork } from "./useWork";

const WORDS = text.account;

/** Another password; all other log-ins end with it. */
export function ChangePassword() {
  const [old, setOld] = useState("");
  const [wanted, setWanted] = useState("");
  const [saved, setSaved] = useState(false);
  const { busy, problem, run } = useWork();
  const change = async () => {
    setSaved(false);
    keep(await asMe<LogIn>("/api/v1/auth/password", "POST", { old, new: wanted }));
    setOld("");
    setWanted("");
    setSaved(true);
  };
  return (
    <section className="card" aria-labelledby="password">
      <h2 id="password">{WORDS.changePassword}</h2>
      <p>{WORDS.changePasswordLead}</p>
      <form
        className="column"
        onSubmit={(event: SubmitEvent) => {
          event.preventDefault();
          run(change);
        }}
      >
        <Field label={WORDS.oldPassword} type="password" value={old} onValue={setOld} complete="current-password" />
        <Field label={WORDS.newPassword} type="password" value={wanted} onValue={setWanted} complete="new-password" />
        <button type="submit" disabled={busy}>
          {WORDS.doReset}
        </button>
        {saved && <Done>{WORDS.passwordChanged}</Done>}
        {problem !== "" && <Problem>{problem}</Problem>}
      </form>
    </section>
  );
}
