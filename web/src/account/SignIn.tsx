import { type SubmitEvent, useState } from "react";
import { ApiProblem, ask, type ServerOffer } from "../api";
import { text } from "../strings";
import { keep, type LogIn, nextPage } from "./credentials";
import { Field, Problem } from "./fields";
import { useWork } from "./useWork";

const WORDS = text.account;
export type Mode = "signIn" | "register" | "forgot";

function goOn(made: LogIn): void {
  keep(made);
  location.assign(nextPage(location.search, location.origin));
}

/** Signing in, making an account, asking for a link: one form at a time. */
export function SignIn({ offer, mode, onMode }: { offer: ServerOffer; mode: Mode; onMode: (mode: Mode) => void }) {
  const [login, setLogin] = useState("");
  const [password, setPassword] = useState("");
  const [name, setName] = useState("");
  const [email, setEmail] = useState("");
  const [code, setCode] = useState("");
  const [needsCode, setNeedsCode] = useState(false);
  const [sent, setSent] = useState(false);
  const { busy, problem, run } = useWork();

  const signIn = async () => {
    try {
      const body = { login, password, totp: code === "" ? null : code };
      goOn(await ask<LogIn>("/api/v1/auth/login", { method: "POST", body }));
    } catch (error) {
      const asked = error instanceof ApiProblem && error.code === "totp_required";
      if (!asked) throw error;
      setNeedsCode(true);
    }
  };
  const register = async () => {
    const body = { username: login, password, name, email: email === "" ? null : email };
    goOn(await ask<LogIn>("/api/v1/auth/register", { method: "POST", body }));
  };
  const forgot = async () => {
    await ask("/api/v1/auth/password/forgot", { method: "POST", body: { login } });
    setSent(true);
  };
  const works = { signIn, register, forgot };
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    run(works[mode]);
  };
  const switchTo = (wanted: Mode) => (
    <button
      key={wanted}
      type="button"
      className="plain"
      onClick={() => {
        setSent(false);
        setNeedsCode(false);
        onMode(wanted);
      }}
    >
      {{ signIn: WORDS.toSignIn, register: WORDS.toRegister, forgot: WORDS.toForgot }[wanted]}
    </button>
  );

  return (
    <>
      <form className="card column" onSubmit={submit}>
        <Field
          label={mode === "register" ? WORDS.username : WORDS.login}
          value={login}
          onValue={setLogin}
          complete="username"
        />
        {mode === "register" && (
          <>
            <Field label={WORDS.name} value={name} onValue={setName} complete="name" required={false} />
            <Field label={WORDS.email} type="email" value={email} onValue={setEmail} complete="email" required={false} />
          </>
        )}
        {mode !== "forgot" && (
          <Field
            label={WORDS.password}
            type="password"
            value={password}
            onValue={setPassword}
            complete={mode === "register" ? "new-password" : "current-password"}
          />
        )}
        {mode === "signIn" && needsCode && (
          <Field label={WORDS.code} value={code} onValue={setCode} complete="one-time-code" help={WORDS.codeHelp} />
        )}
        <button type="submit" disabled={busy}>
          {{ signIn: WORDS.doSignIn, register: WORDS.doRegister, forgot: WORDS.doForgot }[mode]}
        </button>
        {problem !== "" && <Problem>{problem}</Problem>}
        {sent && (
          <p role="status" className="status">
            {WORDS.forgotSent}
          </p>
        )}
      </form>
      <p className="row">
        {(["signIn", "register", "forgot"] as const)
          .filter((wanted) => wanted !== mode && (wanted !== "register" || offer.registration))
          .map(switchTo)}
      </p>
    </>
  );
}
