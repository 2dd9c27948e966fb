import "../dashboard/dashboard.css";
import { useState } from "react";
import { sayError } from "../api";
import { asMe } from "../account/asMe";
import { signInPage } from "../account/credentials";
import { useAccount } from "../account/useAccount";
import { Accounts } from "../dashboard/Accounts";
import { Audit } from "../dashboard/Audit";
import { DeadLetters } from "../dashboard/DeadLetters";
import { Keys } from "../dashboard/Keys";
import type { RoomInfo } from "../dashboard/model";
import { EndedLog } from "../dashboard/EndedLog";
import { Phones } from "../dashboard/Phones";
import { RoomDetail } from "../dashboard/RoomDetail";
import { RoomList } from "../dashboard/RoomList";
import { hashOf, type Section, sectionsOf, useSection } from "../dashboard/sections";
import { Streams } from "../dashboard/Streams";
import { usePoll } from "../dashboard/usePoll";
import { query } from "../parts/address";
import { Page, show } from "../parts/Page";
import { text } from "../strings";

const WORDS = text.dashboard;
const LOOK_MS = 3000;

function DashboardPage() {
  const account = useAccount();
  return (
    <Page title={WORDS.title} wide>
      {account === undefined && <p role="status">{text.loading}</p>}
      {account === null && (
        <>
          <p className="lead">{WORDS.needAccount}</p>
          <a className="button" href={signInPage()}>
            {text.nav.signIn}
          </a>
        </>
      )}
      {account?.role === "member" && <p role="alert">{WORDS.denied}</p>}
      {account && account.role !== "member" && <Dashboard me={account.id} offered={sectionsOf(account.role)} />}
    </Page>
  );
}

function Dashboard({ me, offered }: { me: string; offered: readonly Section[] }) {
  const shown = useSection(offered);
  return (
    <>
      <nav className="sections" aria-label={WORDS.sections}>
        {offered.map((section) => (
          <a key={section} href={hashOf(section)} {...(section === shown ? { "aria-current": "page" as const } : {})}>
            {WORDS.section[section]}
          </a>
        ))}
      </nav>
      {shown === "rooms" && <Rooms />}
      {shown === "streams" && <Streams />}
      {shown === "phones" && <Phones />}
      {shown === "log" && <EndedLog />}
      {shown === "webhooks" && <DeadLetters />}
      {shown === "accounts" && <Accounts me={me} />}
      {shown === "keys" && <Keys />}
      {shown === "audit" && <Audit />}
    </>
  );
}

function Rooms() {
  const [rooms, setRooms] = useState<readonly RoomInfo[] | null>(null);
  const [chosen, setChosen] = useState(query.get("room"));
  const [problem, setProblem] = useState("");
  usePoll(
    async () => {
      try {
        setRooms(await asMe<RoomInfo[]>("/api/v1/rooms"));
        setProblem("");
      } catch (error) {
        setProblem(WORDS.problem(sayError(error)));
      }
    },
    LOOK_MS,
    "rooms",
  );
  const there = rooms?.some(({ name }) => name === chosen) === true;
  return (
    <>
      {problem !== "" && (
        <p role="alert" className="status bad">
          {problem}
        </p>
      )}
      {rooms !== null && <RoomList rooms={rooms} chosen={chosen} onChoose={setChosen} />}
      {chosen !== null && there && <RoomDetail key={chosen} room={chosen} />}
    </>
  );
}

show(<DashboardPage />);
