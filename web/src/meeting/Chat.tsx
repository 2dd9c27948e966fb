import { type SubmitEvent, useEffect, useRef, useState } from "react";
import { text } from "../strings";
import { type ChatMessage, MAX_TEXT } from "./messages";

const WORDS = text.chat;

interface ChatProps {
  readonly messages: readonly ChatMessage[];
  /** Who moderates may change every message. */
  readonly moderator: boolean;
  readonly onSay: (words: string) => Promise<boolean>;
  readonly onEdit: (id: string, words: string) => Promise<boolean>;
  readonly onRemove: (id: string) => void;
  readonly onClose: () => void;
}

/** What was said, and a field to say something. */
export function Chat({ messages, moderator, onSay, onEdit, onRemove, onClose }: ChatProps) {
  const [editing, setEditing] = useState<string | null>(null);
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
    setEditing(null);
    void (editing === null ? onSay(said) : onEdit(editing, said)).then((done) => {
      if (done) return;
      setWords(said);
      setEditing(editing);
    });
  };
  const edit = (message: ChatMessage | null) => {
    setEditing(message?.id ?? null);
    setWords(message?.text ?? "");
    field.current?.focus();
  };
  return (
    <aside className="side" aria-labelledby="chat-title">
      <PanelHead id="chat-title" title={WORDS.title} onClose={onClose} />
      <div ref={log} className="log" role="log" aria-label={WORDS.log} tabIndex={0}>
        {messages.length === 0 && <p className="status">{WORDS.empty}</p>}
        {messages.map((message) => (
          <Message
            key={message.id}
            message={message}
            changeable={message.mine || moderator}
            onEdit={() => {
              edit(message);
            }}
            onRemove={() => {
              onRemove(message.id);
            }}
          />
        ))}
      </div>
      <form className="say" onSubmit={submit}>
        <input
          ref={field}
          aria-label={editing === null ? WORDS.message : WORDS.editing}
          placeholder={WORDS.message}
          value={words}
          maxLength={MAX_TEXT}
          autoComplete="off"
          onChange={(event) => {
            setWords(event.target.value);
          }}
        />
        <button type="submit">{editing === null ? WORDS.send : WORDS.save}</button>
        {editing !== null && (
          <button
            type="button"
            className="quiet"
            onClick={() => {
              edit(null);
            }}
          >
            {WORDS.cancel}
          </button>
        )}
      </form>
    </aside>
  );
}

interface MessageProps {
  readonly message: ChatMessage;
  readonly changeable: boolean;
  readonly onEdit: () => void;
  readonly onRemove: () => void;
}

function Message({ message, changeable, onEdit, onRemove }: MessageProps) {
  const { from, text: said, at, mine, edited } = message;
  const deleted = said === "";
  return (
    <div className={`message${mine ? " mine" : ""}`} data-message>
      <span className="from">
        {mine ? text.room.you : from} <time dateTime={new Date(at).toISOString()}>{timeOf(at)}</time>
        {edited && !deleted && ` ${WORDS.edited}`}
      </span>
      <p className={deleted ? "deleted" : ""}>{deleted ? WORDS.deleted : said}</p>
      {changeable && !deleted && (
        <span className="powers">
          <button type="button" className="plain" aria-label={WORDS.editOf(said)} onClick={onEdit}>
            {WORDS.edit}
          </button>
          <button type="button" className="plain" aria-label={WORDS.removeOf(said)} onClick={onRemove}>
            {WORDS.remove}
          </button>
        </span>
      )}
    </div>
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
