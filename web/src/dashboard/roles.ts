import type { Role } from "../account/credentials";

/** What an account can be, from what may least to what may most. */
export const ROLES: readonly Role[] = ["member", "moderator", "admin"];
