import { text } from "../strings";
import { TONES } from "./model";

const WORDS = text.phone;

/** The twelve keys of a phone. */
export function Keypad({ onKey }: { onKey: (tone: string) => void }) {
  return (
    <div role="group" className="keypad" aria-label={WORDS.keypad}>
      {TONES.map((tone) => (
        <button
          key={tone}
          type="button"
          className="quiet"
          aria-label={WORDS.key(tone)}
          onClick={() => {
            onKey(tone);
          }}
        >
          {tone}
        </button>
      ))}
    </div>
  );
}
