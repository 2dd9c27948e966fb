import { useEffect, useRef } from "react";
import { text } from "../strings";
import { KEYS } from "./keys";

const WORDS = text.keys;

/** Which key does what; single keys can be turned off here. */
export function KeyList({ single, onSingle, onClose }: { single: boolean; onSingle: (on: boolean) => void; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby="keys-title" onClose={onClose}>
      <h2 id="keys-title">{WORDS.title}</h2>
      <dl className="keys">
        {KEYS.map(([key, action]) => (
          <div key={key}>
            <dt>
              <kbd>{key.toUpperCase()}</kbd>
            </dt>
            <dd>{WORDS.actions[action]}</dd>
          </div>
        ))}
        <div>
          <dt>
            <kbd>{WORDS.space}</kbd>
          </dt>
          <dd>{WORDS.hold}</dd>
        </div>
        <div>
          <dt>
            <kbd>{WORDS.escape}</kbd>
          </dt>
          <dd>{WORDS.actions.close}</dd>
        </div>
      </dl>
      <label className="check">
        <input
          type="checkbox"
          checked={single}
          onChange={(event) => {
            onSingle(event.target.checked);
          }}
        />
        {WORDS.single}
      </label>
      <form method="dialog">
        <button type="submit">{WORDS.close}</button>
      </form>
    </dialog>
  );
}
