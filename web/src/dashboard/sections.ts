import { useEffect, useState } from "react";
import type { Account } from "../account/credentials";

/** The parts of the dashboard; who is no administrator has those that are about rooms. */
export const SECTIONS = ["rooms", "streams", "phones", "log", "webhooks", "accounts", "keys", "audit"] as const;
export type Section = (typeof SECTIONS)[number];
const OF_MODERATORS: readonly Section[] = ["rooms", "streams", "log"];

/** Which parts an account sees. */
export const sectionsOf = (role: Account["role"]): readonly Section[] => (role === "admin" ? SECTIONS : OF_MODERATORS);

/** The link to a part; the slash keeps it apart from the ids of the page. */
export const hashOf = (section: Section) => `#/${section}`;

/** Which part an address names, if any. */
export function sectionOf(hash: string, offered: readonly Section[]): Section | null {
  return offered.find((section) => hashOf(section) === hash) ?? null;
}

/** The part that is shown, as the address says; other fragments leave it. */
export function useSection(offered: readonly Section[]): Section {
  const [section, setSection] = useState<Section>(sectionOf(location.hash, offered) ?? "rooms");
  useEffect(() => {
    const follow = () => {
      setSection((before) => sectionOf(location.hash, offered) ?? before);
    };
    addEventListener("hashchange", follow);
    return () => {
      removeEventListener("hashchange", follow);
    };
  }, [offered]);
  return section;
}
