import { useEffect, useState } from "react";
import { askServer, sayError, type ServerOffer } from "../api";
import { type Account, signOut } from "../account/credentials";
import { Problem } from "../account/fields";
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

function Mine({ account }: { account: Account }) {
  const { busy, problem, run } = useWork();
  return (
    <Page title={WORDS.yours}>
      <section className="card">
        <p data-account={account.username}>{WORDS.signedInAs(account.name || account.username)}</p>
        <p>
          {WORDS.role}: {account.role}
        </p>
        <button
          type="button"
          className="quiet"
          disabled={busy}
          onClick={() => {
            run(async () => {
              await signOut();
              location.assign("/account/");
            });
          }}
        >
          {WORDS.signOut}
        </button>
        {problem !== "" && <Problem>{problem}</Problem>}
      </section>
      <Totp active={account.totp} />
    </Page>
  );
}

show(<AccountPage />);
