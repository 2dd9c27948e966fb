import { expect, test } from "vitest";
import { linesOf } from "./subtitles";

const cue = (textContent: string) => ({ getCueAsHTML: () => ({ textContent }) });
const track = (kind: string, mode: string, ...lines: string[]) => ({ kind, mode, activeCues: lines.map(cue) }) as unknown as TextTrack;

test("lines of all subtitles that are read are shown, and no others", () => {
  const tracks = [track("subtitles", "hidden", "one", ""), track("subtitles", "disabled", "two"), track("metadata", "hidden", "three")];
  expect(linesOf([...tracks, track("subtitles", "showing", "four")])).toEqual(["one", "four"]);
});

test("a track without cues says nothing", () => {
  expect(linesOf([{ kind: "subtitles", mode: "hidden", activeCues: null }])).toEqual([]);
});
