import { type SubmitEvent, useState } from "react";
import { ApiProblem, ask } from "../api";
import { keep, type LogIn } from "../account/credentials";
import { Field, Problem } from "../account/fields";
import { useWork } from "../account/useWork";
import { Page, show } from "../parts/Page";
import { text } from "../strings";

const WORDS = text.account;
/** In the fragment, which no server's log sees. */
const TOKEN = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

function Reset() {
  const [password, setPassword] = useState("");
  const [done, setDone] = useState(false);
  const { busy, problem, run } = useWork();
  const reset = async () => {
    try {
      keep(await ask<LogIn>("/api/v1/auth/password/reset", { method: "POST", body: { token: TOKEN, password } }));
      location.assign("/");
    } catch (error) {
      if (!(error instanceof ApiProblem && error.code === "totp_required")) throw error;
      setDone(true);
    }
  };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(reset);
  };
  return (
    <Page title={WORDS.reset}>
      {TOKEN === "" ? (
        <Problem>{WORDS.noToken}</Problem>
      ) : (
        <form className="card column" onSubmit={submit}>
          <Field label={WORDS.newPassword} type="password" value={password} onValue={setPassword} complete="new-password" />
          <button type="submit" disabled={busy || done}>
            {WORDS.doReset}
          </button>
          {problem !== "" && <Problem>{problem}</Problem>}
          {done && (
            <p role="status" className="status">
              {WORDS.resetDone} <a href="/account/">{WORDS.signIn}</a>
            </p>
          )}
        </form>
      )}
    </Page>
  );
}

show(<Reset />);
