import { type SubmitEvent, useState } from "react";
import { text } from "../strings";
import { asMe } from "./asMe";
import { type Account, again } from "./credentials";
import { Done, Field, Problem } from "./fields";
import { useWork } from "./useWork";

const WORDS = text.account;

/** One's name as others see it, and one's mail address. */
export function Profile({ account, onChanged }: { account: Account; onChanged: (account: Account) => void }) {
  const [name, setName] = useState(account.name);
  const [email, setEmail] = useState(account.email ?? "");
  const [password, setPassword] = useState("");
  const [saved, setSaved] = useState(false);
  const { busy, problem, run } = useWork();
  const otherMail = email !== (account.email ?? "");
  const save = async () => {
    setSaved(false);
    const changed = await asMe<Account>("/api/v1/me", "PATCH", { name, email, password: otherMail ? password : null });
    // The log-in that is kept has the old name in it.
    await again();
    setPassword("");
    setSaved(true);
    onChanged(changed);
  };
  return (
    <section className="card" aria-labelledby="profile">
      <h2 id="profile">{WORDS.profile}</h2>
      <form
        className="column"
        onSubmit={(event: SubmitEvent) => {
          event.preventDefault();
          run(save);
        }}
      >
        <Field label={WORDS.name} value={name} onValue={setName} complete="name" required={false} />
        <Field label={WORDS.email} type="email" value={email} onValue={setEmail} complete="email" required={false} />
        {otherMail && (
          <Field label={WORDS.passwordForMail} type="password" value={password} onValue={setPassword} complete="current-password" />
        )}
        <button type="submit" disabled={busy}>
          {WORDS.save}
        </button>
        {saved && <Done>{WORDS.saved}</Done>}
        {problem !== "" && <Problem>{problem}</Problem>}
      </form>
    </section>
  );
}
