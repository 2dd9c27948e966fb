import { asMe } from "../account/asMe";
import { roomPath } from "../api";
import type { Report, Sent } from "./reports";

export interface RoomInfo {
  readonly id: string;
  readonly name: string;
  readonly created_at: number;
  readonly participants: number;
  readonly viewers: number;
  readonly tracks: number;
  readonly waiting: number;
  readonly options: { readonly locked: boolean; readonly lobby: boolean };
}

export interface TrackInfo {
  readonly id: string;
  readonly kind: "audio" | "video";
  readonly source: string;
  readonly name: string;
  readonly mime: string;
  readonly rids: readonly string[];
  readonly muted: boolean;
  readonly muted_by_server: boolean;
  readonly wanted_encodings: readonly (number | null)[] | null;
  readonly quality: string | null;
}

export interface MemberInfo {
  readonly id: string;
  readonly identity: string;
  readonly name: string;
  readonly protocol: string | null;
  readonly kind: string;
  readonly state: string;
  readonly joined_at: number;
  readonly quality: string | null;
  readonly tracks: readonly TrackInfo[];
  readonly subscriptions: readonly Sent[];
}

export interface ViewerInfo {
  readonly id: string;
  readonly joined_at: number;
  readonly quality: string | null;
  readonly subscriptions: readonly Sent[];
}

export interface Ended {
  readonly participant: string | null;
  readonly viewer: string | null;
  readonly reason: string;
  readonly at: number;
}

export interface RoomView {
  readonly info: RoomInfo;
  readonly members: readonly MemberInfo[];
  readonly viewers: readonly ViewerInfo[];
  readonly ended: readonly Ended[];
}

export interface DeadLetter {
  readonly id: number;
  readonly url: string;
  readonly event: string;
  readonly body: string;
  readonly attempts: number;
  readonly last_error: string;
  readonly created_at: number;
  readonly given_up_at: number;
}

export interface PhoneCall {
  readonly id: string;
  readonly caller: string;
  readonly called: string;
  readonly state: "routing" | "ringing" | "answered" | "ended";
  readonly begun_at: number;
  readonly answered_at: number | null;
  readonly codec: string;
}

export interface PhoneRegistration {
  readonly account: string;
  readonly contact: string;
  readonly transport: string;
  readonly address: string;
  readonly user_agent: string;
  readonly registered_at: number;
  readonly expires_at: number;
}

export interface TrunkInfo {
  readonly name: string;
  readonly uri: string;
  readonly state: "unregistered" | "registering" | "registered" | "backing_off" | "down";
  readonly last_error: string;
  readonly next_try_at: number | null;
}

/** Everything of a room at once. */
export async function readRoom(room: string): Promise<RoomView> {
  const of = <T,>(rest: string) => asMe<T>(roomPath(room, rest));
  const [info, members, viewers, ended] = await Promise.all([
    of<RoomInfo>(""),
    of<MemberInfo[]>("/participants"),
    of<ViewerInfo[]>("/viewers"),
    of<Ended[]>("/ended"),
  ]);
  return { info, members, viewers, ended };
}

/** Statistics of all tracks of a room, by track. */
export async function readTracks(room: string): Promise<Record<string, Report[]>> {
  const told = await asMe<{ participants: { tracks: Record<string, Report[]> }[] }>(roomPath(room, "/statistics"));
  return Object.assign({}, ...told.participants.map(({ tracks }) => tracks)) as Record<string, Report[]>;
}
