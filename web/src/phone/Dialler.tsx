import { type SubmitEvent, useState } from "react";
import { Problem } from "../account/fields";
import { text } from "../strings";
import { Keypad } from "./Keypad";
import { dialled } from "./model";

const WORDS = text.phone;

/** Where a number is typed, by the keys of the page or of the keyboard. */
export function Dialler({ onDial }: { onDial: (number: string, pictures: boolean) => void }) {
  const [typed, setTyped] = useState("");
  const [bad, setBad] = useState(false);
  const [pictures, setPictures] = useState(false);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const number = dialled(typed);
    setBad(number === null);
    if (number !== null) onDial(number, pictures);
  };
  return (
    <form className="card dialler" onSubmit={submit}>
      <label>
        {WORDS.number}
        <span className="typed">
          <input
            value={typed}
            required
            type="tel"
            autoComplete="off"
            onChange={(event) => {
              setTyped(event.target.value);
            }}
          />
          <button
            type="button"
            className="quiet"
            aria-label={WORDS.back}
            onClick={() => {
              setTyped(typed.slice(0, -1));
            }}
          >
            ⌫
          </button>
        </span>
      </label>
      <Keypad
        onKey={(tone) => {
          setTyped(typed + tone);
        }}
      />
      <label className="check">
        <input
          type="checkbox"
          checked={pictures}
          onChange={(event) => {
            setPictures(event.target.checked);
          }}
        />
        {WORDS.withPictures}
      </label>
      <button type="submit">{WORDS.dial}</button>
      {bad && <Problem>{WORDS.badNumber}</Problem>}
    </form>
  );
}
