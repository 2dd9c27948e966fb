import { text } from "../strings";
import { testCard } from "./testcard";

/** What can be published from a page. */
export const SOURCES = ["camera", "screen", "testcard"] as const;
export type Source = (typeof SOURCES)[number];

/** The size and rate that are wished for; devices and screens give what they have. */
export interface Size {
  readonly width: number;
  readonly height: number;
  readonly frameRate: number;
}

/** The source of that name; the camera where there is none. */
export function sourceNamed(name: string | null): Source {
  return SOURCES.find((source) => source === name) ?? "camera";
}

/** Opens a source; rejects with an error whose message is for who wanted it. */
export async function openSource(source: Source, size: Size): Promise<MediaStream> {
  if (source === "testcard") return testCard(size.width, size.height, size.frameRate);
  // Browsers leave these out, on pages that are not secure and where there is no screen to be shared.
  const devices = navigator.mediaDevices as Partial<MediaDevices> | undefined;
  if (devices?.getUserMedia === undefined) throw new Error(text.source.insecure);
  if (source === "screen" && devices.getDisplayMedia === undefined) throw new Error(text.source.noScreens);
  try {
    const wish = { video: { ...size }, audio: true };
    return await (source === "screen" ? navigator.mediaDevices.getDisplayMedia(wish) : navigator.mediaDevices.getUserMedia(wish));
  } catch (error) {
    throw new Error(whyNotOpened(source, error), { cause: error });
  }
}

/** Why a source did not open, by the names of the errors of Media Capture and Streams. */
export function whyNotOpened(source: Source, error: unknown): string {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return source === "screen" ? text.source.screenDenied : text.source.devicesDenied;
  if (name === "NotFoundError") return source === "screen" ? text.source.noScreens : text.source.noDevices;
  if (name === "NotReadableError") return text.source.busy;
  return error instanceof Error ? error.message : String(error);
}
