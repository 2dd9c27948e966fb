/** The ICE servers that a server names in `Link` fields: of WHIP's answer (RFC 9725 section 4.6), and of a registration. */

const LINK = /<((?:stun|turn)s?:[^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]+))*)/gi;
const PARAMETER = /;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]+))/g;

/** Reads the links of relation `ice-server`; a relay without credentials is left out, since no browser takes one. */
export function readIceServers(header: string | null): RTCIceServer[] {
  const found: RTCIceServer[] = [];
  for (const [, urls = "", rest = ""] of (header ?? "").matchAll(LINK)) {
    const given = new Map<string, string>();
    for (const [, name = "", quoted, bare] of rest.matchAll(PARAMETER)) {
      given.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, "$1") ?? bare ?? "");
    }
    if (given.get("rel") !== "ice-server") continue;
    const username = given.get("username");
    const credential = given.get("credential");
    if (/^stun/i.test(urls)) found.push({ urls });
    else if (username !== undefined && credential !== undefined) found.push({ urls, username, credential });
  }
  return found;
}
