/** What somebody chose before joining; kept for the next time, but for the name of who is signed in. */
export interface Choices {
  readonly name: string;
  readonly camera: string;
  readonly microphone: string;
  readonly speaker: string;
  readonly moderate: boolean;
}

/** No device at all. */
export const OFF = "off";
/** Whatever the system gives. */
export const ANY = "";

const KEY = "roomtone.choices";
const FIRST: Choices = { name: "", camera: ANY, microphone: ANY, speaker: ANY, moderate: false };

export function keptChoices(): Choices {
  return { ...FIRST, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Choices>) };
}

export function keepChoices(choices: Choices): void {
  localStorage.setItem(KEY, JSON.stringify(choices));
}

/** The identity of a guest: readable, and nobody else's. */
export function guestIdentity(name: string, random: string): string {
  const plain = name
    .normalize("NFD")
    .replaceAll(/[^A-Za-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .toLowerCase()
    .slice(0, 40);
  return `${plain === "" ? "guest" : plain}-${random.slice(0, 6)}`;
}
