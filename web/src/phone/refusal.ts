import { text } from "../strings";

/** Statuses of SIP by which a server says that it does not know the account, or not by this password. */
const WRONG = new Set([401, 404, 407]);

/** Says in words why an account was refused; `why` is the status and phrase, for what has no sentence of its own. */
export function sayRefusal(status: number | undefined, why: string): string {
  return status !== undefined && WRONG.has(status) ? text.phone.state.wrong : text.phone.state.refused(why);
}
