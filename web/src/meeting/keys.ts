import { text } from "../strings";

export type Action = keyof typeof text.keys.actions;

/** Single keys, as the list shows them. */
export const KEYS: readonly (readonly [key: string, action: Action])[] = [
  ["m", "mic"],
  ["v", "camera"],
  ["s", "share"],
  ["h", "hand"],
  ["c", "chat"],
  ["p", "people"],
  ["g", "layout"],
  ["l", "leave"],
  ["?", "help"],
];

/** What of a keyboard event decides. */
export interface Stroke {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly altKey: boolean;
  readonly metaKey: boolean;
  readonly repeat: boolean;
}

/** What a key does; nothing while somebody types, with a modifier, or when it is held. */
export function actionOf(stroke: Stroke, typing: boolean, singleKeys: boolean): Action | null {
  if (stroke.ctrlKey || stroke.altKey || stroke.metaKey || stroke.repeat) return null;
  if (stroke.key === "Escape") return "close";
  if (typing || !singleKeys) return null;
  return KEYS.find(([key]) => key === stroke.key.toLowerCase())?.[1] ?? null;
}

/** Whether keys go into a field here. */
export function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.matches("input, textarea, select") || target.isContentEditable);
}

const KEPT = "roomtone.single-keys";
/** Single keys get in the way of some who speak to their computer or have it read to them: they can be turned off. */
export const singleKeysWanted = () => localStorage.getItem(KEPT) !== "off";
export function keepSingleKeys(wanted: boolean): void {
  if (wanted) localStorage.removeItem(KEPT);
  else localStorage.setItem(KEPT, "off");
}
