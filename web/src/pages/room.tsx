import "../meeting/meeting.css";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { ApiProblem, askServer, sayError, type ServerOffer } from "../api";
import { signInPage } from "../account/credentials";
import { enter, type Entry, keepAddress, knock, wayIn } from "../meeting/access";
import type { Choices } from "../meeting/choices";
import { Lobby } from "../meeting/Lobby";
import { RoomChat } from "../meeting/roomChat";
import type { Stay } from "../meeting/meeting";
import { roomName } from "../parts/address";
import { Page, show } from "../parts/Page";
import { text } from "../strings";

// The lobby is there before the library of the meeting is.
const MeetingView = lazy(async () => ({ default: (await import("../meeting/MeetingView")).MeetingView }));
const library = () => import("../meeting/meeting");

type Phase =
  | { readonly at: "lobby"; readonly problem: string; readonly busy: boolean }
  | { readonly at: "waiting" }
  | { readonly at: "meeting"; readonly stay: Stay }
  | { readonly at: "ended"; readonly why: string };

const IN_LOBBY: Phase = { at: "lobby", problem: "", busy: false };

function RoomPage() {
  const [room, setRoom] = useState(roomName);
  const [offer, setOffer] = useState<ServerOffer | null>(null);
  const [way, setWay] = useState<"given" | "account" | "guest" | null | undefined>(undefined);
  const [problem, setProblem] = useState("");
  const [phase, setPhase] = useState<Phase>(IN_LOBBY);
  const asking = useRef<AbortController | null>(null);

  useEffect(() => {
    document.title = `${text.lobby.title(room)} · ${text.brand}`;
  }, [room]);

  useEffect(() => {
    const begin = async () => {
      const offered = await askServer();
      setWay(await wayIn(offered.guests));
      setOffer(offered);
    };
    begin().catch((error: unknown) => {
      setProblem(sayError(error));
    });
  }, []);

  const join = async (choices: Choices) => {
    setPhase({ at: "lobby", problem: "", busy: true });
    try {
      const entry = await enter(room, choices.name, choices.moderate);
      asking.current = new AbortController();
      const answer = await askToEnter(room, entry, asking.current.signal, () => {
        setPhase({ at: "waiting" });
      });
      if (answer !== "") {
        setPhase({ at: "lobby", problem: answer, busy: false });
        return;
      }
      const { Stay: Made } = await library();
      const stay = new Made(choices, new RoomChat(room, entry), room, entry);
      let shown = room;
      stay.subscribe(() => {
        const { name, entry: now, connected, ended } = stay.current();
        if (name !== shown) {
          // Moved: the address, and what comes after the meeting, are those of the other room.
          shown = name;
          setRoom(name);
          keepAddress(name, now.token);
        }
        if (connected === "ended") setPhase((now) => (now.at === "meeting" ? { at: "ended", why: ended } : now));
      });
      await stay.join(() => {
        setPhase({ at: "meeting", stay });
      });
    } catch (error) {
      setPhase({ at: "lobby", problem: text.lobby.refused(sayError(error)), busy: false });
    }
  };

  switch (phase.at) {
    case "meeting":
      return (
        <Suspense fallback={<p role="status">{text.loading}</p>}>
          <MeetingView stay={phase.stay} />
        </Suspense>
      );
    case "ended":
      return (
        <Page title={text.ended.title}>
          <p className="lead" role="status" data-ended>
            {phase.why}
          </p>
          <p className="row">
            <button
              type="button"
              autoFocus
              onClick={() => {
                setPhase(IN_LOBBY);
              }}
            >
              {text.ended.again}
            </button>
            <a href="/">{text.ended.home}</a>
          </p>
        </Page>
      );
    case "waiting":
      return (
        <Page title={text.lobby.waitingTitle}>
          <p className="lead" role="status" data-waiting>
            {text.lobby.waiting}
          </p>
          <button
            type="button"
            className="quiet"
            onClick={() => {
              asking.current?.abort();
              setPhase(IN_LOBBY);
            }}
          >
            {text.lobby.cancel}
          </button>
        </Page>
      );
    case "lobby":
      break;
  }
  if (problem !== "") return <Stopped room={room} words={problem} />;
  if (offer === null || way === undefined) return <Page title={text.lobby.title(room)}>{text.loading}</Page>;
  if (way === null) return <NeedAccount room={room} />;
  return <Lobby room={room} offer={offer} guest={way === "guest"} problem={phase.problem} busy={phase.busy} onJoin={(choices) => void join(choices)} />;
}

/** Asks to enter where that is wanted; gives why not, or nothing. Where nobody must ask it is answered at once. */
async function askToEnter(room: string, entry: Entry, signal: AbortSignal, onWait: () => void): Promise<string> {
  // Only what takes longer than a moment is shown as waiting.
  const timer = setTimeout(onWait, 700);
  try {
    const decision = await knock(room, entry.token, signal);
    switch (decision) {
      case "admitted":
        return "";
      case "denied":
        return text.lobby.denied;
      case "timed_out":
        return text.lobby.timedOut;
      case "withdrawn":
      case "room_closed":
        return text.ended.roomClosed;
    }
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return " ";
    if (error instanceof ApiProblem && error.code === "room_locked") return text.lobby.locked;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function Stopped({ room, words }: { room: string; words: string }) {
  return (
    <Page title={text.lobby.title(room)}>
      <p role="alert" className="status bad">
        {words}
      </p>
    </Page>
  );
}

function NeedAccount({ room }: { room: string }) {
  return (
    <Page title={text.lobby.title(room)}>
      <p className="lead">{text.lobby.needAccount}</p>
      <p className="row">
        <a className="button" href={signInPage()}>
          {text.nav.signIn}
        </a>
      </p>
    </Page>
  );
}

show(<RoomPage />);
