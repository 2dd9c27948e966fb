import { afterEach, expect, it, vi } from "vitest";
import { openSource, sourceNamed, whyNotOpened } from "./source";
import { text } from "../strings";

const SIZE = { width: 1280, height: 720, frameRate: 30 };

afterEach(() => {
  vi.unstubAllGlobals();
});

it("takes the camera for a source it does not know", () => {
  expect(["screen", "testcard", "window", null].map(sourceNamed)).toEqual(["screen", "testcard", "camera", "camera"]);
});

it("says why a browser opened nothing", () => {
  const of = (source: "camera" | "screen", name: string) => whyNotOpened(source, new DOMException("Permission denied", name));
  expect(of("camera", "NotAllowedError")).toBe(text.source.devicesDenied);
  expect(of("screen", "NotAllowedError")).toBe(text.source.screenDenied);
  expect(of("camera", "NotFoundError")).toBe(text.source.noDevices);
  expect(of("camera", "NotReadableError")).toBe(text.source.busy);
  expect(whyNotOpened("camera", new Error("something else"))).toBe("something else");
});

it("opens nothing on a page that is not secure, and says so", async () => {
  vi.stubGlobal("navigator", {});
  await expect(openSource("camera", SIZE)).rejects.toThrow(text.source.insecure);
  await expect(openSource("screen", SIZE)).rejects.toThrow(text.source.insecure);
});

it("says that a telephone shares no screen", async () => {
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia: vi.fn() } });
  await expect(openSource("screen", SIZE)).rejects.toThrow(text.source.noScreens);
});

it("asks for the size that is wished for, with sound, and passes the refusal on in words", async () => {
  const getDisplayMedia = vi.fn().mockRejectedValue(new DOMException("Permission denied", "NotAllowedError"));
  vi.stubGlobal("navigator", { mediaDevices: { getUserMedia: vi.fn(), getDisplayMedia } });
  await expect(openSource("screen", SIZE)).rejects.toThrow(text.source.screenDenied);
  expect(getDisplayMedia).toHaveBeenCalledWith({ video: SIZE, audio: true });
});
