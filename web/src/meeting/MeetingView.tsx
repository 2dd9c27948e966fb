import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { ThemeSwitch } from "../parts/Page";
import { text } from "../strings";
import { Chat } from "./Chat";
import { Controls } from "./Controls";
import { type Action, keepSingleKeys, singleKeysWanted } from "./keys";
import { KeyList } from "./KeyList";
import { Sound } from "./Media";
import type { Stay } from "./meeting";
import { People } from "./People";
import { type Layout, Stage } from "./Stage";
import { useKeys } from "./useKeys";
import { useModeration } from "./useModeration";

const WORDS = text.room;
const canShare = () => "getDisplayMedia" in ((navigator.mediaDevices as MediaDevices | undefined) ?? {});

/** The room, once joined. */
export function MeetingView({ stay }: { stay: Stay }) {
  const meeting = useSyncExternalStore(stay.subscribe, stay.current);
  const [layout, setLayout] = useState<Layout>("grid");
  const [panel, setPanel] = useState<"chat" | "people" | null>(null);
  const [pinned, setPinned] = useState<string | null>(null);
  const [help, setHelp] = useState(false);
  const [single, setSingle] = useState(singleKeysWanted);
  const [read, setRead] = useState({ room: "", messages: 0 });
  const talking = useRef(false);
  const lastButton = useRef<HTMLElement | null>(null);
  const { name, entry, people, messages, connected } = meeting;
  // A room that one is moved to has other messages.
  const seen = read.room === name ? read.messages : 0;
  const setSeen = (count: number) => {
    setRead({ room: name, messages: count });
  };
  const me = people.find(({ mine }) => mine);
  const moderation = useModeration(name, entry, connected === "connected", (words) => {
    stay.tell(words);
  });

  const closePanel = () => {
    if (panel === "chat") setSeen(messages.length);
    setPanel(null);
    // The keyboard goes on from where it opened the panel.
    lastButton.current?.focus();
  };
  const openPanel = (wanted: "chat" | "people") => {
    if (panel === wanted) {
      closePanel();
      return;
    }
    if (panel === "chat") setSeen(messages.length);
    lastButton.current = document.querySelector(`[data-action="${wanted}"]`);
    setPanel(wanted);
  };
  const actions: Record<Action, () => void> = {
    mic: () => void stay.setMicrophone(me?.microphone !== true),
    camera: () => void stay.setCamera(me?.camera === null),
    share: () => void stay.setScreen(me?.screen === null),
    hand: () => void stay.setHand(me?.hand === null),
    chat: () => {
      openPanel("chat");
    },
    people: () => {
      openPanel("people");
    },
    layout: () => {
      setPinned(null);
      setLayout(layout === "grid" ? "speaker" : "grid");
    },
    leave: () => void stay.leave(),
    help: () => {
      setHelp(!help);
    },
    close: () => {
      if (!help && panel !== null) closePanel();
    },
  };
  const act = (action: Action) => {
    actions[action]();
  };
  useKeys({
    single,
    muted: me?.microphone === false,
    onAction: act,
    onTalk: (on) => {
      if (on === talking.current) return;
      talking.current = on;
      void stay.setMicrophone(on);
    },
  });

  return (
    <div className="meeting" data-connected={connected}>
      <header className="meeting-head">
        <a className="brand" href="/">
          {text.brand}
        </a>
        <h1>{name}</h1>
        {meeting.onAir && (
          <span className="on-air" title={WORDS.onAirNow} data-on-air>
            {WORDS.onAir}
          </span>
        )}
        <ThemeSwitch />
      </header>
      <Banners stay={stay} reconnecting={connected === "reconnecting"} canHear={meeting.canHear} />
      <main className={panel === null ? "" : "with-side"}>
        <Stage people={people} layout={layout} lastSpeaker={meeting.lastSpeaker} pinned={pinned} onPin={setPinned} />
        {panel === "chat" && (
          <Chat
            messages={messages}
            moderator={entry.moderator}
            onSay={stay.say}
            onEdit={stay.edit}
            onRemove={(id) => void stay.remove(id)}
            onClose={closePanel}
          />
        )}
        {panel === "people" && <People room={name} people={people} moderation={moderation} onClose={closePanel} />}
        {people.length === 1 && connected === "connected" && <Alone />}
      </main>
      {people.flatMap(({ sounds }) => sounds.map((track) => <Sound key={track.sid} track={track} />))}
      <Notice key={meeting.notice.number} words={meeting.notice.words} />
      {me !== undefined && (
        <footer>
          <Controls
            me={me}
            layout={layout}
            panel={panel}
            unread={panel === "chat" ? 0 : messages.length - seen}
            asking={moderation?.asking.length ?? 0}
            canShare={canShare()}
            onAction={act}
          />
        </footer>
      )}
      {help && (
        <KeyList
          single={single}
          onSingle={(on) => {
            keepSingleKeys(on);
            setSingle(on);
          }}
          onClose={() => {
            setHelp(false);
          }}
        />
      )}
    </div>
  );
}

function Banners({ stay, reconnecting, canHear }: { stay: Stay; reconnecting: boolean; canHear: boolean }) {
  return (
    <div role="alert" className="banners">
      {reconnecting && (
        <p className="banner" data-reconnecting>
          {WORDS.reconnecting}
        </p>
      )}
      {!canHear && (
        <p className="banner">
          {WORDS.soundBlocked}{" "}
          <button type="button" className="small" onClick={() => void stay.startSound()}>
            {WORDS.soundOn}
          </button>
        </p>
      )}
    </div>
  );
}

const SHOWN_MS = 6000;

function Notice({ words }: { words: string }) {
  const [shown, setShown] = useState(true);
  useEffect(() => {
    const timer = setTimeout(() => {
      setShown(false);
    }, SHOWN_MS);
    return () => {
      clearTimeout(timer);
    };
  }, []);
  return (
    <p role="status" className={`notice${shown && words !== "" ? " shown" : ""}`} data-notice>
      {shown ? words : ""}
    </p>
  );
}

function Alone() {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    const { origin, pathname, search } = location;
    await navigator.clipboard.writeText(origin + pathname + search);
    setCopied(true);
  };
  return (
    <p className="alone">
      {WORDS.alone}{" "}
      <button type="button" className="small" onClick={() => void copy().catch(() => undefined)}>
        {copied ? WORDS.copied : WORDS.copy}
      </button>
    </p>
  );
}
