/** What the phone knows, and how it changes: one call at a time, and a list of those that were. */

export type Line = "off" | "connecting" | "registered" | "refused" | "busy" | "lost";
export type Stage = "calling" | "ringing" | "incoming" | "up" | "ended";
export type Direction = "in" | "out";

export interface Call {
  readonly id: string;
  readonly direction: Direction;
  readonly peer: string;
  readonly stage: Stage;
  readonly begunAt: number;
  readonly answeredAt: number | null;
  readonly held: boolean;
  readonly heldThere: boolean;
  readonly muted: boolean;
  /** Whether the other side offers pictures, or sends them. */
  readonly pictures: boolean;
  readonly notice: Notice | null;
  /** Why it ended, in the words of SIP. */
  readonly why: string;
}

/** What there is to say about a transfer, or a microphone. */
export type Notice =
  | { readonly kind: "asked" | "trying" | "transferred"; readonly to: string }
  | { readonly kind: "backAgain" }
  | { readonly kind: "transferFailed" | "noMicrophone"; readonly why: string };

export type Outcome = "answered" | "missed" | "declined" | "busy" | "failed";

export interface Entry {
  readonly id: string;
  readonly direction: Direction;
  readonly peer: string;
  readonly at: number;
  readonly seconds: number | null;
  readonly outcome: Outcome;
  readonly why: string;
}

export interface PhoneState {
  readonly line: Line;
  readonly who: string;
  readonly problem: string;
  readonly call: Call | null;
  /** The call that waits while somebody else is asked. */
  readonly aside: Call | null;
  readonly list: readonly Entry[];
}

export const EMPTY: PhoneState = { line: "off", who: "", problem: "", call: null, aside: null, list: [] };
/** Calls that are remembered; the oldest is forgotten for another. */
export const LIST_LIMIT = 50;

export type Change =
  | { readonly kind: "line"; readonly line: Line; readonly problem?: string }
  | { readonly kind: "signedIn"; readonly who: string }
  | { readonly kind: "begun"; readonly id: string; readonly direction: Direction; readonly peer: string; readonly at: number; readonly beside?: boolean; readonly pictures?: boolean }
  | { readonly kind: "stage"; readonly id: string; readonly stage: "ringing" | "up"; readonly at: number }
  | { readonly kind: "flags"; readonly id: string; readonly flags: Partial<Pick<Call, "held" | "heldThere" | "muted" | "pictures" | "notice">> }
  | { readonly kind: "ended"; readonly id: string; readonly at: number; readonly why: string; readonly declined: boolean }
  | { readonly kind: "turnedAway"; readonly id: string; readonly peer: string; readonly at: number };

/** Gives the state after a change; one that is about another call than there is changes nothing. */
export function next(state: PhoneState, change: Change): PhoneState {
  switch (change.kind) {
    case "line":
      return { ...state, line: change.line, problem: change.problem ?? "" };
    case "signedIn":
      return { ...EMPTY, line: "connecting", who: change.who, list: state.list };
    case "begun":
      return { ...state, aside: change.beside === true ? state.call : null, call: fresh(change) };
    case "turnedAway":
      return { ...state, list: remember(state.list, { ...change, direction: "in", seconds: null, outcome: "busy", why: "" }) };
    default:
      if (state.call?.id === change.id) return ofCall(state, state.call, change);
      return state.aside?.id === change.id ? ofAside(state, state.aside, change) : state;
  }
}

/** What happens to the call that waits. */
function ofAside(state: PhoneState, call: Call, change: Extract<Change, { kind: "stage" | "flags" | "ended" }>): PhoneState {
  switch (change.kind) {
    case "stage":
      return state;
    case "flags":
      return { ...state, aside: { ...call, ...change.flags } };
    case "ended":
      return { ...state, aside: null, list: remember(state.list, entryOf(call, change)) };
  }
}

function ofCall(state: PhoneState, call: Call, change: Extract<Change, { kind: "stage" | "flags" | "ended" }>): PhoneState {
  if (call.stage === "ended") return change.kind === "flags" ? { ...state, call: { ...call, ...change.flags } } : state;
  switch (change.kind) {
    case "stage": {
      if (call.stage === "up") return state;
      const answeredAt = change.stage === "up" ? change.at : null;
      return { ...state, call: { ...call, stage: change.stage, answeredAt } };
    }
    case "flags":
      return { ...state, call: { ...call, ...change.flags } };
    case "ended":
      return {
        ...state,
        // Who was waiting is the call again.
        call: state.aside ?? { ...call, stage: "ended", why: change.why },
        aside: null,
        list: remember(state.list, entryOf(call, change)),
      };
  }
}

function fresh({ id, direction, peer, at, pictures = false }: Extract<Change, { kind: "begun" }>): Call {
  const stage = direction === "in" ? "incoming" : "calling";
  const none = { held: false, heldThere: false, muted: false, notice: null, why: "", answeredAt: null };
  return { id, direction, peer, stage, begunAt: at, pictures, ...none };
}

function entryOf(call: Call, { at, why, declined }: Extract<Change, { kind: "ended" }>): Entry {
  const { id, direction, peer, begunAt, answeredAt } = call;
  const seconds = answeredAt === null ? null : Math.max(0, Math.round((at - answeredAt) / 1000));
  const unanswered: Outcome = declined ? "declined" : direction === "in" ? "missed" : "failed";
  return { id, direction, peer, at: begunAt, seconds, outcome: seconds === null ? unanswered : "answered", why };
}

function remember(list: readonly Entry[], entry: Entry): readonly Entry[] {
  return [entry, ...list].slice(0, LIST_LIMIT);
}

/** Whether a call is there that has not ended. */
export const isBusy = (state: PhoneState) => state.call !== null && state.call.stage !== "ended";

/** The keys of a phone. */
export const TONES = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"] as const;

/**
 * What is dialled for what was typed: marks that people put into numbers are left out, names stay. Null for what can be
 * neither.
 */
export function dialled(typed: string): string | null {
  const trimmed = typed.trim();
  const number = trimmed.replace(/[\s()/.-]/g, "");
  if (/^\+?[0-9*#]{1,64}$/.test(number)) return number;
  return /^[A-Za-z0-9._+-]{1,64}$/.test(trimmed) ? trimmed : null;
}

/** A duration in minutes and seconds. */
export const lasted = (seconds: number) => `${String(Math.floor(seconds / 60))}:${String(seconds % 60).padStart(2, "0")}`;
