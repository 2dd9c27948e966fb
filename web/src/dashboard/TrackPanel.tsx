import { Chart } from "../parts/Chart";
import { text } from "../strings";
import { bitrate } from "../webrtc/line";
import type { TrackInfo } from "./model";
import { KEPT, type Sample } from "./reports";

const WORDS = text.dashboard;
/** A round number above what is shown. */
const above = (most: number, least: number) => {
  const power = 10 ** Math.floor(Math.log10(Math.max(most, least)));
  return [1, 2, 3, 5, 10].map((step) => step * power).find((bound) => bound >= most * 1.05 && bound >= least) ?? 10 * power;
};
const COLOURS = ["estimate", "allotted", "fourth"];

/** Bitrate, loss and layers of one track. */
export function TrackPanel({ track, samples, onMute }: { track: TrackInfo; samples: readonly Sample[]; onMute: () => void }) {
  const newest = samples.at(-1);
  const top = above(Math.max(0, ...samples.map((sample) => sample.bitrate)), 50_000);
  const topLoss = above(Math.max(0, ...samples.map(({ loss }) => (loss ?? 0) * 100)), 1);
  const many = newest !== undefined && newest.encodings.length > 1;
  // Whoever muted a track takes that back: what its sender has muted is not unmuted here.
  const held = track.muted_by_server;
  const title = `${track.source} · ${track.mime}`;
  return (
    <div className="panel track" role="group" aria-label={title} data-track={track.id}>
      <div className="track-head">
        <h4>{title}</h4>
        {track.muted && !track.muted_by_server && <span className="aside">{WORDS.mutedItself}</span>}
        <button type="button" className="quiet small" onClick={onMute} aria-label={held ? WORDS.unmuteWhat(title) : WORDS.muteWhat(title)}>
          {held ? WORDS.unmute : WORDS.mute}
        </button>
      </div>
      <div className="tiles">
        <Value name={WORDS.bitrate} value={bitrate(newest?.bitrate ?? 0)} />
        <Value name={WORDS.loss} value={WORDS.percent(Math.round((newest?.loss ?? 0) * 1000) / 10)} />
        <Value name={WORDS.jitter} value={newest?.jitter === null || newest === undefined ? "–" : `${Math.round(newest.jitter * 1000)} ms`} />
        {track.kind === "video" && <Value name={WORDS.layers} value={wanted(track)} />}
        <Value name={WORDS.quality} value={track.quality ?? "–"} />
      </div>
      <Chart
        label={many ? WORDS.layersChart : WORDS.bitrateChart}
        length={KEPT}
        height={90}
        top={top}
        marks={[{ at: top, text: bitrate(top) }]}
        series={[
          { name: WORDS.inAll, className: "arriving", filled: true, values: samples.map((sample) => sample.bitrate) },
          ...(many
            ? newest.encodings.map((_, index) => ({
                name: nameOf(track, index),
                className: COLOURS[index % COLOURS.length] ?? "current",
                values: samples.map((sample) => sample.encodings[index] ?? null),
              }))
            : []),
        ]}
      />
      <LayersChart track={track} samples={samples} />
      <Chart
        label={WORDS.lossChart}
        length={KEPT}
        height={50}
        top={topLoss}
        marks={[{ at: topLoss, text: WORDS.percent(topLoss) }]}
        series={[{ name: WORDS.loss, className: "allotted", values: samples.map(({ loss }) => (loss === null ? null : loss * 100)) }]}
      />
    </div>
  );
}

/** Which layers receivers get, where there are several. */
function LayersChart({ track, samples }: { track: TrackInfo; samples: readonly Sample[] }) {
  const most = Math.max(track.rids.length, samples.at(-1)?.encodings.length ?? 0, ...samples.map(({ sent }) => (sent?.highest ?? 0) + 1));
  if (track.kind !== "video" || most < 2) return null;
  // The lowest layer stands above the base line: on it is nothing.
  const height = (layer: number | undefined) => (layer === undefined ? null : layer + 1);
  return (
    <Chart
      label={WORDS.sentChart}
      length={KEPT}
      height={24 * most}
      top={most}
      marks={Array.from({ length: most }, (_, layer) => ({ at: layer + 1, text: track.rids[layer] ?? `S${layer}` }))}
      series={[
        { name: WORDS.highestSent, className: "current", stepped: true, values: samples.map(({ sent }) => height(sent?.highest)) },
        { name: WORDS.lowestSent, className: "target", stepped: true, values: samples.map(({ sent }) => height(sent?.lowest)) },
      ]}
    />
  );
}

/** An encoding by the name its sender gave it. */
const nameOf = ({ rids }: TrackInfo, index: number) => rids[index] ?? WORDS.encoding(index);

function Value({ name, value }: { name: string; value: string }) {
  return (
    <div className="tile">
      <span className="name">{name}</span>
      <span className="value" data-value={name}>
        {value}
      </span>
    </div>
  );
}

/** Which encodings anybody wants, of how many. */
function wanted({ wanted_encodings: encodings }: TrackInfo): string {
  if (encodings === null) return "–";
  return `${encodings.filter((highest) => highest !== null).length} ${WORDS.of} ${encodings.length}`;
}
