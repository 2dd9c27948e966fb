import { text } from "../strings";
import { Bars, Icon } from "./icons";
import { Picture } from "./Media";
import type { Person } from "./person";

const WORDS = text.room;

/** One person: picture or initials, name, and how they are. */
export function Tile({ person, pinned, onPin }: { person: Person; pinned: boolean; onPin: (identity: string | null) => void }) {
  const { name, camera } = person;
  return (
    <li className={`tile-person${person.speaking ? " speaking" : ""}`} data-person={person.identity} data-camera={camera !== null} data-microphone={person.microphone}>
      {camera === null ? (
        <span className="initials" aria-hidden="true" style={{ background: colourOf(person.identity) }}>
          {initials(name)}
        </span>
      ) : (
        <Picture track={camera} label={WORDS.pictureOf(name)} mirror={person.mine} fit="cover" />
      )}
      <button
        type="button"
        className="pin"
        aria-label={pinned ? WORDS.unpin : WORDS.pin(name)}
        aria-pressed={pinned}
        onClick={() => {
          onPin(pinned ? null : person.identity);
        }}
      />
      <Caption person={person} />
      {person.hand !== null && (
        <span className="hand" role="img" aria-label={WORDS.handUp} data-hand>
          <Icon name="hand" />
        </span>
      )}
    </li>
  );
}

/** A shared screen. */
export function Screen({ person }: { person: Person }) {
  if (person.screen === null) return null;
  return (
    <li className="tile-person screen" data-screen={person.identity}>
      <Picture track={person.screen} label={WORDS.screenOf(person.name)} mirror={false} fit="contain" />
      <span className="caption">{WORDS.screenOf(person.name)}</span>
    </li>
  );
}

function Caption({ person }: { person: Person }) {
  return (
    <span className="caption">
      {!person.microphone && (
        <span role="img" aria-label={WORDS.micOff}>
          <Icon name="micOff" />
        </span>
      )}
      <span className="who">
        {person.name}
        {person.mine && ` (${WORDS.you})`}
      </span>
      <Bars quality={person.quality} label={WORDS.quality[person.quality]} />
    </span>
  );
}

/** Up to two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.split(/[\s._-]+/).filter((word) => word !== "");
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => String.fromCodePoint(word?.codePointAt(0) ?? 0x20).trim());
  return letters.join("").toUpperCase();
}

/** A calm colour that stays with an identity; white letters can be read on all of them. */
export function colourOf(identity: string): string {
  let hash = 0;
  for (const letter of identity) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 360;
  return `hsl(${hash} 35% 32%)`;
}
