import { type CSSProperties, type RefObject, useEffect, useRef, useState } from "react";
import { text } from "../strings";
import { gridOf } from "./grid";
import { onStage } from "./order";
import type { Person } from "./person";
import { Screen, Tile } from "./Tile";

export type Layout = "grid" | "speaker";

interface StageProps {
  readonly people: readonly Person[];
  readonly layout: Layout;
  readonly lastSpeaker: string | null;
  readonly pinned: string | null;
  readonly onPin: (identity: string | null) => void;
}

/** All pictures: side by side, or one large with the others in a strip. A shared screen is always large. */
export function Stage({ people, layout, lastSpeaker, pinned, onPin }: StageProps) {
  const place = useRef<HTMLElement>(null);
  const size = useSize(place, layout);
  const screens = people.filter(({ screen }) => screen !== null);
  const large = screens.length > 0 ? null : onStage(people, pinned, lastSpeaker);
  const tile = (person: Person) => <Tile key={person.identity} person={person} pinned={person.identity === pinned} onPin={onPin} />;
  if (layout === "grid" && screens.length === 0 && pinned === null) {
    const { columns, rows } = gridOf(people.length, size.width, size.height);
    return (
      <section ref={place} className="pictures" aria-label={text.room.stage}>
        <ul className="grid-layout" style={{ "--columns": columns, "--rows": rows } as CSSProperties}>
          {people.map(tile)}
        </ul>
      </section>
    );
  }
  const strip = people.filter(({ identity }) => identity !== large?.identity);
  return (
    <section ref={place} className="pictures" aria-label={text.room.stage}>
      <ul className={`speaker-layout${strip.length === 0 ? " single" : ""}`}>
        {screens.map((person) => (
          <Screen key={person.identity} person={person} />
        ))}
        {large !== null && tile(large)}
        {strip.length > 0 && (
          <li className="strip">
            {/* A scrolling strip must be reachable by keyboard. */}
            <ul tabIndex={0} aria-label={text.people.title}>
              {strip.map(tile)}
            </ul>
          </li>
        )}
      </ul>
    </section>
  );
}

function useSize(place: RefObject<HTMLElement | null>, layout: Layout): { width: number; height: number } {
  const [size, setSize] = useState({ width: 1280, height: 720 });
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setSize({ width: entry.contentRect.width, height: entry.contentRect.height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
    };
    // Another layout may be another element.
  }, [place, layout]);
  return size;
}
