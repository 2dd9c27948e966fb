import { bitrate, type BandwidthReport, KEPT, layerName, type LayerReport, type LineSample } from "../webrtc/line";
import { text } from "../strings";
import { Chart } from "./Chart";

interface LinePanelProps {
  readonly report: BandwidthReport;
  readonly samples: readonly LineSample[];
  readonly layers: readonly LayerReport[];
}

/** The viewer's line, live: what it is believed to carry, what of that is used, and which layer that gives. */
export function LinePanel({ report, samples, layers }: LinePanelProps) {
  const section = Object.values(report.media)[0];
  const newest = samples.at(-1);
  const top = scale(samples);
  const highest = Math.max(1, layers.length - 1, ...samples.map(({ current, target }) => Math.max(current ?? 0, target ?? 0)));
  const tiles = [
    { name: "estimate", value: told(report.estimate), note: text.line.carries },
    { name: "allotted", value: told(report.allocated), note: wanted(report.wanted) },
    { name: "arriving", value: bitrate(newest?.arriving ?? 0), note: roundTrip(report.roundTripTime) },
    {
      name: "layer",
      value: section?.paused === "bandwidth" ? text.line.paused : layerName(section?.currentSpatialLayer, section?.currentTemporalLayer, layers),
      note: text.line.target(layerName(section?.targetSpatialLayer, section?.targetTemporalLayer, layers)),
    },
  ];
  return (
    <section className="panel" aria-label={text.line.title}>
      <div className="tiles">
        {tiles.map(({ name, value, note }) => (
          <div key={name} className="tile">
            <span className="name">{name}</span>
            <span className="value" data-line={name}>
              {value}
            </span>
            <span className="note" data-line={`${name}-note`}>
              {note}
            </span>
          </div>
        ))}
        <div className="tile">
          <span className="name">congestion</span>
          <span className={`badge ${report.congestion ?? "none"}`} data-line="congestion">
            {report.congestion ?? "none"}
          </span>
          <span className="note" data-line="quality">
            {report.quality ?? ""}
          </span>
        </div>
      </div>
      <Chart
        label={text.line.rates}
        length={KEPT}
        height={150}
        top={top}
        marks={[0.5, 1].map((share) => ({ at: top * share, text: bitrate(top * share) }))}
        series={[
          { name: "arriving", className: "arriving", filled: true, values: samples.map((sample) => sample.arriving) },
          { name: "allotted", className: "allotted", stepped: true, values: samples.map((sample) => sample.allocated) },
          { name: "estimate", className: "estimate", values: samples.map((sample) => sample.estimate) },
        ]}
      />
      <Chart
        label={text.line.layers}
        length={KEPT}
        height={70}
        top={highest + 0.5}
        marks={layers.map(({ spatialLayerId, rid }) => ({ at: spatialLayerId, text: rid ?? `S${spatialLayerId}` }))}
        series={[
          { name: "target layer", className: "target", stepped: true, values: samples.map((sample) => sample.target) },
          { name: "current layer", className: "current", stepped: true, values: samples.map((sample) => sample.current) },
        ]}
      />
    </section>
  );
}

type Told = number | null | undefined;

function told(bps: Told): string {
  return bps === null || bps === undefined ? "–" : bitrate(bps);
}

function wanted(bps: Told): string {
  return bps === null || bps === undefined ? "" : text.line.wanted(bitrate(bps));
}

function roundTrip(seconds: Told): string {
  return seconds === null || seconds === undefined ? "" : text.line.roundTrip(Math.round(seconds * 1000));
}

/** The top of the scale: a round bitrate above all samples. */
export function scale(samples: readonly LineSample[]): number {
  const most = Math.max(100_000, ...samples.map(({ estimate, arriving, allocated }) => Math.max(estimate, arriving, allocated)));
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 3, 5, 10].map((step) => step * power).find((bound) => bound >= most * 1.05) ?? 10 * power;
}
