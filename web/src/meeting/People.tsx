import { text } from "../strings";
import { PanelHead } from "./Chat";
import { Bars, Icon } from "./icons";
import type { Person } from "./person";
import type { Moderation } from "./useModeration";

const WORDS = text.people;

interface PeopleProps {
  readonly room: string;
  readonly people: readonly Person[];
  readonly moderation: Moderation | null;
  readonly onClose: () => void;
}

/** Who is here; for moderators what they may do about it. */
export function People({ room, people, moderation, onClose }: PeopleProps) {
  return (
    <aside className="side" aria-labelledby="people-title">
      <PanelHead id="people-title" title={WORDS.title} onClose={onClose} />
      {moderation !== null && <Moderating room={room} moderation={moderation} />}
      <p className="status">{WORDS.here(people.length)}</p>
      <ul className="people">
        {people.map((person) => (
          <li key={person.identity} data-listed={person.identity}>
            <span className="who">
              {person.name}
              {person.mine && ` (${text.room.you})`}
            </span>
            {person.hand !== null && (
              <span role="img" aria-label={text.room.handUp}>
                <Icon name="hand" />
              </span>
            )}
            {!person.microphone && (
              <span role="img" aria-label={text.room.micOff}>
                <Icon name="micOff" />
              </span>
            )}
            <Bars quality={person.quality} label={text.room.quality[person.quality]} />
            {moderation !== null && !person.mine && <Powers person={person} moderation={moderation} />}
          </li>
        ))}
      </ul>
    </aside>
  );
}

function Powers({ person, moderation }: { person: Person; moderation: Moderation }) {
  const { name, identity, microphoneId } = person;
  return (
    <span className="powers">
      {person.microphone && microphoneId !== null && (
        <button
          type="button"
          className="quiet small"
          aria-label={WORDS.mute(name)}
          onClick={() => {
            moderation.mute(microphoneId);
          }}
        >
          {WORDS.muteShort}
        </button>
      )}
      <button
        type="button"
        className="quiet small"
        aria-label={WORDS.remove(name)}
        onClick={() => {
          if (window.confirm(WORDS.sure(name))) moderation.remove(identity);
        }}
      >
        {WORDS.removeShort}
      </button>
    </span>
  );
}

function Moderating({ room, moderation }: { room: string; moderation: Moderation }) {
  const box = (name: "locked" | "lobby", label: string) => (
    <label className="check">
      <input
        type="checkbox"
        checked={moderation[name]}
        disabled={!moderation.known}
        onChange={(event) => {
          moderation.setOptions({ [name]: event.target.checked });
        }}
      />
      {label}
    </label>
  );
  return (
    <section aria-label={WORDS.moderation} className="moderation">
      {box("locked", WORDS.lock)}
      {box("lobby", WORDS.lobby)}
      <label className="check">
        <input
          type="checkbox"
          data-live
          checked={moderation.live}
          disabled={!moderation.known}
          onChange={(event) => {
            moderation.setLive(event.target.checked);
          }}
        />
        {WORDS.live}
      </label>
      {moderation.live && (
        <a href={`/play/?${new URLSearchParams({ room }).toString()}`} target="_blank" rel="noreferrer">
          {WORDS.watch}
        </a>
      )}
      {moderation.asking.length > 0 && (
        <>
          <h3>{WORDS.asking}</h3>
          <ul className="people">
            {moderation.asking.map((knock) => {
              const name = knock.name === "" ? knock.identity : knock.name;
              return (
                <li key={knock.id} data-knock={knock.identity}>
                  <span className="who">{name}</span>
                  <span className="powers">
                    <button type="button" className="small" aria-label={WORDS.admitWho(name)} onClick={() => { moderation.answer(knock, true); }}>
                      {WORDS.admit}
                    </button>
                    <button type="button" className="quiet small" aria-label={WORDS.denyWho(name)} onClick={() => { moderation.answer(knock, false); }}>
                      {WORDS.deny}
                    </button>
                  </span>
                </li>
              );
            })}
          </ul>
        </>
      )}
    </section>
  );
}
