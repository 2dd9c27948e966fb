import { type SubmitEvent, useState } from "react";
import { text } from "../strings";
import { asMe } from "./asMe";
import { Field, Problem } from "./fields";
import { useWork } from "./useWork";

const WORDS = text.account;

interface Setup {
  readonly secret: string;
  readonly uri: string;
  readonly picture: string;
}

/** Draws a QR code as an SVG picture. */
async function draw(uri: string): Promise<string> {
  const { default: qrcode } = await import("qrcode-generator");
  const code = qrcode(0, "M");
  code.addData(uri);
  code.make();
  return `data:image/svg+xml,${encodeURIComponent(code.createSvgTag({ cellSize: 4, margin: 16 }))}`;
}

/** The second factor: set it up, or remove it. */
export function Totp({ active }: { active: boolean }) {
  const [on, setOn] = useState(active);
  const [setup, setSetup] = useState<Setup | null>(null);
  const [code, setCode] = useState("");
  const [password, setPassword] = useState("");
  const [backup, setBackup] = useState<readonly string[]>([]);
  const { busy, problem, run } = useWork();

  const begin = async () => {
    const made = await asMe<{ secret: string; uri: string }>("/api/v1/auth/totp/setup", "POST");
    setSetup({ ...made, picture: await draw(made.uri) });
  };
  const confirm = async () => {
    const made = await asMe<{ backup_codes: string[] }>("/api/v1/auth/totp/confirm", "POST", { totp: code });
    setBackup(made.backup_codes);
    setSetup(null);
    setCode("");
    setOn(true);
  };
  const remove = async () => {
    await asMe("/api/v1/auth/totp", "DELETE", { password, totp: code });
    setOn(false);
    setBackup([]);
    setCode("");
    setPassword("");
  };
  const doing = (work: () => Promise<void>) => (event: SubmitEvent) => {
    event.preventDefault();
    run(work);
  };

  return (
    <section className="card" aria-labelledby="totp">
      <h2 id="totp">{WORDS.totp}</h2>
      <p>{on ? WORDS.totpOn : WORDS.totpOff}</p>
      {backup.length > 0 && (
        <>
          <p>{WORDS.backup}</p>
          <ul className="codes">
            {backup.map((one) => (
              <li key={one}>
                <code>{one}</code>
              </li>
            ))}
          </ul>
        </>
      )}
      {!on && setup === null && (
        <button
          type="button"
          disabled={busy}
          onClick={() => {
            run(begin);
          }}
        >
          {WORDS.totpSetup}
        </button>
      )}
      {setup !== null && (
        <form className="column" onSubmit={doing(confirm)}>
          <p>{WORDS.totpScan}</p>
          <img className="qr" src={setup.picture} alt={WORDS.totpQr} width="200" height="200" />
          <code data-secret>{setup.secret}</code>
          <Field label={WORDS.code} value={code} onValue={setCode} complete="one-time-code" />
          <button type="submit" disabled={busy}>
            {WORDS.totpConfirm}
          </button>
        </form>
      )}
      {on && (
        <form className="column" onSubmit={doing(remove)}>
          <Field label={WORDS.password} type="password" value={password} onValue={setPassword} complete="current-password" />
          <Field label={WORDS.code} value={code} onValue={setCode} complete="off" />
          <button type="submit" className="quiet" disabled={busy}>
            {WORDS.totpRemove}
          </button>
        </form>
      )}
      {problem !== "" && <Problem>{problem}</Problem>}
    </section>
  );
}
