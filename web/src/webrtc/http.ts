/** What WHIP (RFC 9725) and WHEP have in common: an offer goes up, an answer comes down, the resource is a URL. */

import { readLinks } from "./events";
import { readIceServers } from "./iceServers";

/** The server's refusal, with the sentence it gave. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    readonly retryAfter: number | null,
  ) {
    super(detail === "" ? `the server answered ${status}` : detail);
  }
}

/** A media resource on the server, tied to a peer connection. */
export interface MediaResource {
  readonly pc: RTCPeerConnection;
  readonly url: URL;
  /** What the server links to, by relation. */
  readonly links: ReadonlyMap<string, URL>;
  /** A request with the token the resource was made with. */
  send(method: string, url: URL, type?: string, body?: string): Promise<Response>;
  /** New ICE credentials on the same connection, for a changed network. */
  restartIce(): Promise<void>;
  /** Ends it on both sides. */
  close(): Promise<void>;
}

/** Posts the connection's offer to `endpoint` and applies the answer. */
export async function negotiate(
  pc: RTCPeerConnection,
  endpoint: URL,
  token: string,
  amend: (sdp: string) => string = (sdp) => sdp,
): Promise<MediaResource> {
  const offer = await pc.createOffer();
  await pc.setLocalDescription({ type: "offer", sdp: amend(offer.sdp ?? "") });
  const response = await send("POST", endpoint, token, "application/sdp", pc.localDescription?.sdp ?? "");
  const answer = await response.text();
  const url = new URL(response.headers.get("Location") ?? "", endpoint);
  const iceServers = readIceServers(response.headers.get("Link"));
  if (iceServers.length > 0) pc.setConfiguration({ ...pc.getConfiguration(), iceServers });
  await pc.setRemoteDescription({ type: "answer", sdp: answer });
  // The candidates of the offer were gathered without them; what the next offer gathers is asked of them (RFC 9429, 4.1.18).
  if (iceServers.length > 0) await restartIce(pc, url, token);
  return {
    pc,
    url,
    links: readLinks(response.headers.get("Link"), endpoint),
    send: (method, to, type, body) => send(method, to, token, type, body),
    restartIce: () => restartIce(pc, url, token),
    close: async () => {
      pc.close();
      await send("DELETE", url, token).catch((error: unknown) => {
        // A resource that is gone already is what was wanted.
        if (!(error instanceof Refused && error.status === 404)) throw error;
      });
    },
  };
}

async function restartIce(pc: RTCPeerConnection, url: URL, token: string): Promise<void> {
  const offer = await pc.createOffer({ iceRestart: true });
  await pc.setLocalDescription(offer);
  const lines = (offer.sdp ?? "").split("\r\n");
  const fragment = lines.filter((line) => /^a=(ice-|group:)|^m=|^a=mid:/.test(line)).join("\r\n") + "\r\n";
  const response = await send("PATCH", url, token, "application/trickle-ice-sdpfrag", fragment, { "If-Match": "*" });
  const fresh = await response.text();
  await pc.setRemoteDescription({ type: "answer", sdp: withIce(pc.remoteDescription?.sdp ?? "", fresh) });
}

/** The description with the ICE credentials and candidates of a trickle fragment. */
export function withIce(description: string, fragment: string): string {
  const value = (name: string) => new RegExp(`^a=${name}:(.*)$`, "m").exec(fragment)?.[1]?.trim() ?? "";
  const candidates = fragment.split(/\r?\n/).filter((line) => line.startsWith("a=candidate:"));
  return description
    .split(/\r\n/)
    .filter((line) => !line.startsWith("a=candidate:"))
    .flatMap((line) => {
      if (line.startsWith("a=ice-ufrag:")) return [`a=ice-ufrag:${value("ice-ufrag")}`];
      if (line.startsWith("a=ice-pwd:")) return [`a=ice-pwd:${value("ice-pwd")}`];
      return line.startsWith("a=mid:") ? [line, ...candidates] : [line];
    })
    .join("\r\n");
}

async function send(
  method: string,
  url: URL,
  token: string,
  type?: string,
  body?: string,
  more: Record<string, string> = {},
): Promise<Response> {
  const headers: Record<string, string> = { ...more };
  if (token !== "") headers["Authorization"] = `Bearer ${token}`;
  if (type !== undefined) headers["Content-Type"] = type;
  const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
  if (response.ok) return response;
  const retry = Number(response.headers.get("Retry-After") ?? "");
  throw new Refused(response.status, sentence(await response.text()), retry > 0 ? retry : null);
}

function sentence(body: string): string {
  try {
    const problem = JSON.parse(body) as Record<string, unknown>;
    const detail = problem["detail"] ?? problem["message"] ?? problem["title"];
    return typeof detail === "string" ? detail : body;
  } catch {
    return body.slice(0, 300);
  }
}
