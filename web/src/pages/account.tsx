import { useEffect, useState } from "react";
import { askServer, sayError, type ServerOffer } from "../api";
import { asMe } from "../account/asMe";
import { ChangePassword } from "../account/ChangePassword";
import { type Account, signedOut, signOut } from "../account/credentials";
import { Problem } from "../account/fields";
import { Profile } from "../account/Profile";
import { type Mode, SignIn } from "../account/SignIn";
import { Totp } from "../account/Totp";
import { useAccount } from "../account/useAccount";
import { useWork } from "../account/useWork";
import { Page, show } from "../parts/Page";
import { text } from "../strings";

const WORDS = text.account;

function AccountPage() {
  const account = useAccount();
  const [offer, setOffer] = useState<ServerOffer | null>(null);
  const [problem, setProblem] = useState("");
  const [mode, setMode] = useState<Mode>("signIn");
  useEffect(() => {
    askServer().then(setOffer, (error: unknown) => {
      setProblem(sayError(error));
    });
  }, []);
  if (account) return <Mine account={account} />;
  return (
    <Page title={WORDS[mode]}>
      {problem !== "" && <Problem>{problem}</Problem>}
      {offer?.accounts === false && <Problem>{WORDS.none}</Problem>}
      {account === null && offer?.accounts === true && <SignIn offer={offer} mode={mode} onMode={setMode} />}
    </Page>
  );
}

function Mine({ account: known }: { account: Account }) {
  const [account, setAccount] = useState(known);
  const { busy, problem, run } = useWork();
  const end = (work: () => Promise<unknown>) => {
    run(async () => {
      await work();
      location.assign("/account/");
    });
  };
  return (
    <Page title={WORDS.yours}>
      <section className="card">
        <p data-account={account.username}>{WORDS.signedInAs(account.name || account.username)}</p>
        <p>
          {WORDS.role}: {account.role}
        </p>
        <p className="row">
          <button
            type="button"
            className="quiet"
            disabled={busy}
            onClick={() => {
              end(signOut);
            }}
          >
            {WORDS.signOut}
          </button>
          <button
            type="button"
            className="quiet"
            disabled={busy}
            onClick={() => {
              if (window.confirm(WORDS.everywhereSure)) end(signOutEverywhere);
            }}
          >
            {WORDS.everywhere}
          </button>
        </p>
        {problem !== "" && <Problem>{problem}</Problem>}
      </section>
      <Profile account={account} onChanged={setAccount} />
      <ChangePassword />
      <Totp active={account.totp} />
    </Page>
  );
}

async function signOutEverywhere(): Promise<void> {
  await asMe("/api/v1/me/log-ins", "DELETE");
  signedOut();
}

show(<AccountPage />);
