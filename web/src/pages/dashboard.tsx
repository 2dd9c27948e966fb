import "../dashboard/dashboard.css";
import { useState } from "react";
import { sayError } from "../api";
import { signInPage } from "../account/credentials";
import { useAccount } from "../account/useAccount";
import { DeadLetters } from "../dashboard/DeadLetters";
import { asMe, type RoomInfo } from "../dashboard/model";
import { RoomDetail } from "../dashboard/RoomDetail";
import { RoomList } from "../dashboard/RoomList";
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
      {account && account.role !== "member" && <Dashboard admin={account.role === "admin"} />}
    </Page>
  );
}

function Dashboard({ admin }: { admin: boolean }) {
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
      {admin && <DeadLetters />}
    </>
  );
}

show(<DashboardPage />);
