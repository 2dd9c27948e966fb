/** What is read out of the text tracks of a media element: the page shows it, above its own controls. */

/** Tells the lines that are shown at a moment whenever they change, until the signal says so. */
export function watchSubtitles(video: HTMLVideoElement, signal: AbortSignal, onLines: (lines: readonly string[]) => void): void {
  const tell = () => {
    onLines(linesOf(video.textTracks));
  };
  const watch = (track: TextTrack) => {
    track.addEventListener("cuechange", tell, { signal });
  };
  video.textTracks.addEventListener("addtrack", ({ track }) => { if (track !== null) watch(track); }, { signal });
  video.textTracks.addEventListener("change", tell, { signal });
  for (const track of video.textTracks) watch(track);
}

/** The lines of all tracks that are read now, without their markup. */
export function linesOf(tracks: Iterable<Pick<TextTrack, "mode" | "kind" | "activeCues">>): string[] {
  return [...tracks]
    .filter(({ mode, kind }) => mode !== "disabled" && kind === "subtitles")
    .flatMap(({ activeCues }) => [...(activeCues ?? [])])
    .map((cue) => (cue as VTTCue).getCueAsHTML().textContent)
    .filter((line) => line !== "");
}
