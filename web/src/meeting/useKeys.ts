import { useEffect, useEffectEvent } from "react";
import { type Action, actionOf, isTyping } from "./keys";

interface KeysProps {
  readonly single: boolean;
  readonly muted: boolean;
  readonly onAction: (action: Action) => void;
  readonly onTalk: (talking: boolean) => void;
}

/** Listens to keys while the meeting is shown. */
export function useKeys({ single, muted, onAction, onTalk }: KeysProps): void {
  const down = useEffectEvent((event: KeyboardEvent) => {
    const free = single && !isDialogOpen();
    const action = actionOf(event, isTyping(event.target), free);
    if (action !== null) onAction(action);
    else if (free && muted && isTalkKey(event) && !event.repeat) {
      event.preventDefault();
      onTalk(true);
    }
  });
  const up = useEffectEvent((event: KeyboardEvent) => {
    if (isTalkKey(event)) onTalk(false);
  });
  useEffect(() => {
    const onDown = (event: KeyboardEvent) => {
      down(event);
    };
    const onUp = (event: KeyboardEvent) => {
      up(event);
    };
    window.addEventListener("keydown", onDown);
    window.addEventListener("keyup", onUp);
    return () => {
      window.removeEventListener("keydown", onDown);
      window.removeEventListener("keyup", onUp);
    };
  }, []);
}

/** Asked of the page: that a dialog was closed is told a moment after it is gone, and a quick key would be lost. */
function isDialogOpen(): boolean {
  return document.querySelector("dialog[open]") !== null;
}

/** The space bar, where it neither types nor presses a button. */
function isTalkKey({ key, target }: KeyboardEvent): boolean {
  return key === " " && !isTyping(target) && !(target instanceof HTMLElement && target.matches("button, a, summary, dialog *"));
}
