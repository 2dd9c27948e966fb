import { useState } from "react";
import { asMe } from "../account/asMe";
import type { Account, Role } from "../account/credentials";
import { sayError } from "../api";
import { text } from "../strings";
import { timeOf } from "./format";
import { NewAccount } from "./NewAccount";
import { Outcome } from "./Outcome";
import { ROLES } from "./roles";
import { Secret } from "./Secret";
import { useAct } from "./useAct";
import { usePoll } from "./usePoll";

const WORDS = text.dashboard.accounts;
const PATH = "/api/v1/accounts";
const PAGE = 50;
const LOOK_MS = 15_000;

/** All accounts, a page at a time: who they are, and what can be done about them. */
export function Accounts({ me }: { me: string }) {
  const [accounts, setAccounts] = useState<readonly Account[] | null>(null);
  const [offset, setOffset] = useState(0);
  const [failed, setFailed] = useState("");
  const [link, setLink] = useState<{ readonly username: string; readonly link: string } | null>(null);
  const look = async () => {
    try {
      setAccounts(await asMe<Account[]>(`${PATH}?offset=${offset}&limit=${PAGE}`));
      setFailed("");
    } catch (error) {
      setFailed(text.dashboard.problem(sayError(error)));
    }
  };
  usePoll(look, LOOK_MS, String(offset));
  const { notice, problem, act } = useAct(look);
  return (
    <section aria-labelledby="accounts">
      <h2 id="accounts">{WORDS.title}</h2>
      <NewAccount
        onMake={(body, onMade) => {
          act<Account>({ path: PATH, method: "POST", body, done: WORDS.made(body.username), then: onMade });
        }}
      />
      <Outcome notice={notice} problem={problem === "" ? failed : problem} />
      {link !== null && (
        <Secret
          words={WORDS.linkLead(link.username)}
          facts={[[WORDS.link, link.link]]}
          onClose={() => {
            setLink(null);
          }}
        />
      )}
      {accounts?.map((account) => {
        const path = `${PATH}/${encodeURIComponent(account.id)}`;
        const sure = (words: string) => window.confirm(words);
        return (
          <Card
            key={account.id}
            account={account}
            mine={account.id === me}
            onRole={(role) => {
              act({ path, method: "PATCH", body: { role }, done: WORDS.roleChanged(account.username, WORDS.roles[role]) });
            }}
            onLock={() => {
              const disabled = !account.disabled;
              if (disabled && !sure(WORDS.lockSure(account.username))) return;
              act({ path, method: "PATCH", body: { disabled }, done: disabled ? WORDS.locked(account.username) : WORDS.unlocked(account.username) });
            }}
            onLink={() => {
              act<{ link: string }>({
                path: `${path}/reset-link`,
                method: "POST",
                then: (made) => {
                  setLink({ username: account.username, link: made.link });
                },
              });
            }}
            onEnd={() => {
              if (sure(WORDS.endSure(account.username))) act({ path: `${path}/log-ins`, method: "DELETE", done: WORDS.ended(account.username) });
            }}
            onTotp={() => {
              if (sure(WORDS.totpSure(account.username))) act({ path: `${path}/totp`, method: "DELETE", done: WORDS.totpRemoved(account.username) });
            }}
          />
        );
      })}
      <p className="row">
        {offset > 0 && (
          <button
            type="button"
            className="quiet"
            onClick={() => {
              setOffset(Math.max(0, offset - PAGE));
            }}
          >
            {WORDS.previous}
          </button>
        )}
        {accounts?.length === PAGE && (
          <button
            type="button"
            className="quiet"
            onClick={() => {
              setOffset(offset + PAGE);
            }}
          >
            {WORDS.next}
          </button>
        )}
      </p>
    </section>
  );
}

interface CardProps {
  readonly account: Account;
  readonly mine: boolean;
  readonly onRole: (role: Role) => void;
  readonly onLock: () => void;
  readonly onLink: () => void;
  readonly onEnd: () => void;
  readonly onTotp: () => void;
}

function Card({ account, mine, onRole, onLock, onLink, onEnd, onTotp }: CardProps) {
  const { username } = account;
  const power = (words: string, what: string, work: () => void) => (
    <button type="button" className="quiet small" aria-label={`${words}: ${what}`} onClick={work}>
      {words}
    </button>
  );
  return (
    <article className="card" aria-label={username} data-account-of={username} data-disabled={account.disabled}>
      <div className="track-head">
        <h3>
          {account.name === "" ? username : account.name} {mine && <span className="aside">({text.room.you})</span>}
        </h3>
        <label className="inline">
          <span className="aside">{WORDS.role}</span>
          <select
            value={account.role}
            aria-label={WORDS.roleOf(username)}
            onChange={(event) => {
              onRole(event.target.value as Role);
            }}
          >
            {ROLES.map((role) => (
              <option key={role} value={role}>
                {WORDS.roles[role]}
              </option>
            ))}
          </select>
        </label>
      </div>
      <p className="status">
        {[
          username,
          account.email,
          account.totp ? WORDS.totpOn : null,
          account.disabled ? WORDS.isLocked : null,
          `${WORDS.since} ${timeOf(account.created_at)}`,
        ]
          .filter(Boolean)
          .join(" · ")}
      </p>
      <p className="powers">
        {power(account.disabled ? WORDS.unlock : WORDS.lock, username, onLock)}
        {!account.disabled && power(WORDS.makeLink, username, onLink)}
        {power(WORDS.end, username, onEnd)}
        {account.totp && power(WORDS.removeTotp, username, onTotp)}
      </p>
    </article>
  );
}
