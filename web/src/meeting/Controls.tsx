import { text } from "../strings";
import type { Action } from "./keys";
import { Icon, type IconName } from "./icons";
import type { Person } from "./person";
import type { Layout } from "./Stage";

const WORDS = text.room;

interface ControlsProps {
  readonly me: Person;
  readonly layout: Layout;
  readonly panel: "chat" | "people" | null;
  readonly unread: number;
  readonly asking: number;
  readonly canShare: boolean;
  readonly onAction: (action: Action) => void;
}

/** The row of buttons below the pictures; keys do the same. */
export function Controls({ me, layout, panel, unread, asking, canShare, onAction }: ControlsProps) {
  const button = (action: Action, icon: IconName, label: string, more: Look = {}) => (
    <button
      type="button"
      className={`control ${more.look ?? ""}`}
      data-action={action}
      {...(more.pressed === undefined ? {} : { "aria-pressed": more.pressed })}
      {...(more.expanded === undefined ? {} : { "aria-expanded": more.expanded })}
      onClick={() => {
        onAction(action);
      }}
    >
      <Icon name={icon} />
      <span className="label">{label}</span>
      {more.count !== undefined && more.count > 0 && (
        <span className="count" role="img" aria-label={text.chat.unread(more.count)}>
          {more.count}
        </span>
      )}
    </button>
  );
  const off = (on: boolean): Look => (on ? {} : { look: "off" });
  const up = me.hand !== null;
  const sharing = me.screen !== null;
  return (
    <div className="controls" role="group" aria-label={WORDS.controls}>
      {button("mic", me.microphone ? "mic" : "micOff", me.microphone ? WORDS.mute : WORDS.unmute, off(me.microphone))}
      {button("camera", me.camera ? "camera" : "cameraOff", me.camera ? WORDS.cameraOff : WORDS.cameraOn, off(me.camera !== null))}
      {canShare && button("share", "screen", sharing ? WORDS.unshare : WORDS.share, sharing ? { look: "active" } : {})}
      {button("hand", "hand", up ? WORDS.lower : WORDS.raise, up ? { look: "active" } : {})}
      {button("chat", "chat", WORDS.chat, { expanded: panel === "chat", count: unread, look: panel === "chat" ? "active" : "" })}
      {button("people", "people", WORDS.people, { expanded: panel === "people", count: asking, look: panel === "people" ? "active" : "" })}
      {button("layout", layout === "grid" ? "speaker" : "grid", layout === "grid" ? WORDS.speaker : WORDS.grid)}
      {button("help", "keys", WORDS.keys, { look: "wide-only" })}
      {button("leave", "leave", WORDS.leave, { look: "danger" })}
    </div>
  );
}

interface Look {
  readonly look?: string;
  readonly pressed?: boolean;
  readonly expanded?: boolean;
  readonly count?: number;
}
