import type { MediaResource } from "./http";

/** The relation of a viewer's event stream, by WHEP's companion document. */
export const VIEWER_EVENTS = "urn:ietf:params:whep:ext:core:server-sent-events";
/** The relation of a publisher's event stream, which is this server's own. */
export const PUBLISHER_EVENTS = "urn:x-roomtone:whip:ext:server-sent-events";

/** The relation of a viewer's choice of layers, by WHEP's companion document. */
export const LAYERS = "urn:ietf:params:whep:ext:core:layer";

/** Says how large the picture is shown, in pixels of the screen; no layer larger than fills it is sent then. */
export async function showAt(resource: MediaResource, width: number, height: number): Promise<void> {
  const endpoint = resource.links.get(LAYERS);
  if (endpoint === undefined || width < 1 || height < 1) return;
  const size = { maxWidth: Math.min(Math.round(width), 16_384), maxHeight: Math.min(Math.round(height), 16_384) };
  await resource.send("POST", endpoint, "application/json", JSON.stringify(size));
}

/** What handles the events of a stream, by their names. */
export type Handlers = Record<string, (data: unknown) => void>;

/** Opens an event stream of a resource; gives what closes it. Nothing happens where the server has none. */
export async function follow(resource: MediaResource, relation: string, handlers: Handlers): Promise<() => void> {
  const endpoint = resource.links.get(relation);
  if (endpoint === undefined) return () => undefined;
  const made = await resource.send("POST", endpoint, "application/json", JSON.stringify(Object.keys(handlers)));
  // The stream's URL is its own secret, since an EventSource sends no token.
  const source = new EventSource(new URL(made.headers.get("Location") ?? "", endpoint));
  for (const [name, handle] of Object.entries(handlers)) {
    source.addEventListener(name, ({ data }: MessageEvent<string>) => {
      handle(JSON.parse(data));
    });
  }
  return () => {
    source.close();
  };
}

/** The targets of Link header fields by their relations (RFC 8288), as far as this server writes them. */
export function readLinks(header: string | null, base: URL): Map<string, URL> {
  const found = new Map<string, URL>();
  for (const [, target, relation] of (header ?? "").matchAll(/<([^>]*)>\s*;\s*rel="([^"]*)"/g)) {
    if (target !== undefined && relation !== undefined) found.set(relation, new URL(target, base));
  }
  return found;
}
