/** Requests to /api/v1: JSON in, JSON out, and the server's own words when it refuses. */

/** The server's refusal: `code` for programs, `message` for people (RFC 9457). */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

export interface Ask {
  readonly method?: string;
  readonly token?: string | null;
  readonly body?: unknown;
}

/** Asks, and gives what the answer's JSON says; null when there is none. */
export async function ask<T>(path: string, { method = "GET", token = null, body }: Ask = {}): Promise<T> {
  const headers: Record<string, string> = {};
  if (token !== null && token !== "") headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const answer = await response.text();
  if (!response.ok) throw problemOf(response.status, answer);
  return (answer === "" ? null : JSON.parse(answer)) as T;
}

/** What a refusal's body says, be it a problem, a validation error or something else. */
export function problemOf(status: number, body: string): ApiProblem {
  try {
    const { code, detail, title } = JSON.parse(body) as { code?: string; detail?: unknown; title?: string };
    const said = typeof detail === "string" ? detail : firstOf(detail);
    return new ApiProblem(status, code ?? "", said ?? title ?? `the server answered ${status}`);
  } catch {
    return new ApiProblem(status, "", `the server answered ${status}`);
  }
}

function firstOf(detail: unknown): string | undefined {
  if (!Array.isArray(detail)) return undefined;
  const [first] = detail as { msg?: string; loc?: (string | number)[] }[];
  return first?.msg === undefined ? undefined : `${first.loc?.at(-1) ?? ""}: ${first.msg}`;
}

/** What an error says to people. */
export function sayError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A path of a room in the API. */
export const roomPath = (room: string, rest = "") => `/api/v1/rooms/${encodeURIComponent(room)}${rest}`;

/** What the server offers to whoever asks. */
export interface ServerOffer {
  readonly version: string;
  readonly accounts: boolean;
  readonly registration: boolean;
  readonly guests: boolean;
}

export const askServer = () => ask<ServerOffer>("/api/v1/server");
