import { ApiProblem, ask } from "../api";
import { again, signedIn } from "./credentials";

/** A request with the account's token; one that was withdrawn, as by another role, is exchanged once. */
export async function asMe<T>(path: string, method = "GET", body?: unknown): Promise<T> {
  const kept = await signedIn();
  const send = (token: string | null) => ask<T>(path, { method, token, ...(body === undefined ? {} : { body }) });
  try {
    return await send(kept?.token ?? null);
  } catch (error) {
    const withdrawn = error instanceof ApiProblem && error.code === "token_withdrawn";
    const renewed = withdrawn ? await again() : null;
    if (renewed === null) throw error;
    return send(renewed.token);
  }
}
