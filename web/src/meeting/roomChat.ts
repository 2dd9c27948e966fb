/** The room's chat over the API: what was said before, and what only its keeper can do. */
import { signedIn } from "../account/credentials";
import { ApiProblem, ask, roomPath } from "../api";
import { type Entry, identityIn } from "./access";
import type { KeptMessage } from "./messages";

const HISTORY = 200;
const UNAUTHORIZED = 401;

export class RoomChat {
  private token: string;

  constructor(
    private room: string,
    entry: Entry,
  ) {
    this.token = entry.token;
  }

  /** Goes on in another room, or with a newer token for the same one. */
  moveTo(room: string, token: string): void {
    this.room = room;
    this.token = token;
  }

  history = () => this.request<KeptMessage[]>(`?limit=${String(HISTORY)}`);
  say = (text: string) => this.request<KeptMessage>("", "POST", { text });
  edit = (id: string, text: string) => this.request<KeptMessage>(`/${encodeURIComponent(id)}`, "PATCH", { text });
  remove = (id: string) => this.request<KeptMessage>(`/${encodeURIComponent(id)}`, "DELETE");

  private async request<T>(path: string, method = "GET", body?: unknown): Promise<T> {
    const send = () =>
      ask<T>(roomPath(this.room, `/chat${path}`), { method, token: this.token, ...(body === undefined ? {} : { body }) });
    try {
      return await send();
    } catch (error) {
      if (!isExpired(error) || !(await this.renew())) throw error;
      return send();
    }
  }

  /** A meeting may outlast the token that it was entered with; who entered by an account gets another one. */
  private async renew(): Promise<boolean> {
    const kept = await signedIn();
    if (kept === null) return false;
    const { token } = await ask<{ token: string }>(roomPath(this.room, "/token"), { method: "POST", token: kept.token });
    if (identityIn(token) !== identityIn(this.token)) return false;
    this.token = token;
    return true;
  }
}

export const isExpired = (error: unknown) => error instanceof ApiProblem && error.status === UNAUTHORIZED;
