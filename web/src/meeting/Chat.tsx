import { type SubmitEvent, useEffect, useRef, useState } from "react";
import { text } from "../strings";
import { type ChatMessage, MAX_TEXT } from "./messages";

const WORDS = text.chat;

interface ChatProps {
  readonly messages: readonly ChatMessage[];
  readonly onSay: (words: string) => Promise<boolean>;
  readonly onClose: () => void;
}

/** What was said, and a field to say something. */
export function Chat({ messages, onSay, onClose }: ChatProps) {
  const [words, setWords] = useState("");
  const log = useRef<HTMLDivElement>(null);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    field.current?.focus();
  }, []);
  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [messages]);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const said = words.trim();
    if (said === "") return;
    setWords("");
    void onSay(said).then((sent) => {
      if (!sent) setWords(said);
    });
  };
  return (
    <aside className="side" aria-labelledby="chat-title">
      <PanelHead id="chat-title" title={WORDS.title} onClose={onClose} />
      <div ref={log} className="log" role="log" aria-label={WORDS.log} tabIndex={0}>
        {messages.length === 0 && <p className="status">{WORDS.empty}</p>}
        {messages.map(({ id, from, text: said, at, mine }) => (
          <div key={id} className={`message${mine ? " mine" : ""}`} data-message>
            <span className="from">
              {mine ? text.room.you : from} <time dateTime={new Date(at).toISOString()}>{timeOf(at)}</time>
            </span>
            <p>{said}</p>
          </div>
        ))}
      </div>
      <form className="say" onSubmit={submit}>
        <input
          ref={field}
          aria-label={WORDS.message}
          placeholder={WORDS.message}
          value={words}
          maxLength={MAX_TEXT}
          autoComplete="off"
          onChange={(event) => {
            setWords(event.target.value);
          }}
        />
        <button type="submit">{WORDS.send}</button>
      </form>
    </aside>
  );
}

/** The head of a side panel. */
export function PanelHead({ id, title, onClose }: { id: string; title: string; onClose: () => void }) {
  return (
    <div className="panel-head">
      <h2 id={id}>{title}</h2>
      <button type="button" className="plain" onClick={onClose}>
        {text.room.close}
      </button>
    </div>
  );
}

const timeOf = (at: number) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
