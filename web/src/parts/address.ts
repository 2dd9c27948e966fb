import { text } from "../strings";

/** What the page's address says: `?room=` and further options; the token may come in the fragment. */
export const query = new URLSearchParams(location.search);

export const roomName = query.get("room") ?? "demo";

const ROOM_NAME = /^[A-Za-z0-9._-]{1,64}$/;

/** The endpoint of a room, e.g. /whip/demo, with those query parameters that the server knows. */
export function endpoint(kind: "whip" | "whep"): URL {
  const url = new URL(`/${kind}/${encodeURIComponent(roomName)}`, location.href);
  const participant = query.get("participant");
  if (kind === "whep" && participant !== null) url.searchParams.set("participant", participant);
  return url;
}

/** The token given in the address. */
export function givenToken(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get("token") ?? query.get("token");
}

/** The token given in the address, else one of the development server's, else none; rejects where no room can have that name. */
export async function findToken(grant: "publish" | "subscribe"): Promise<string> {
  if (!ROOM_NAME.test(roomName)) throw new Error(text.noRoomName);
  const given = givenToken();
  if (given !== null) return given;
  const url = new URL("/dev/token", location.href);
  url.searchParams.set("room", roomName);
  url.searchParams.set("identity", `${grant}-${crypto.randomUUID().slice(0, 8)}`);
  const response = await fetch(url, { method: "POST" });
  if (!response.ok) return "";
  const body = (await response.json()) as { token?: string };
  return body.token ?? "";
}
