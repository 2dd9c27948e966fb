import { text } from "../strings";
import { type LiveReport, sayVariant, seconds } from "./report";

/** Latency, buffer and variant of a player of HLS. */
export function LivePanel({ report }: { readonly report: LiveReport }) {
  const tiles = [
    { name: "latency", value: seconds(report.latency), note: text.play.target(seconds(report.target)) },
    { name: "buffer", value: seconds(report.buffer), note: text.play.stalls(report.stalls) },
    { name: "variant", value: sayVariant(report.variant), note: report.variant?.codecs ?? "" },
  ];
  return (
    <section className="panel" aria-label={text.play.figures}>
      <div className="tiles">
        {tiles.map(({ name, value, note }) => (
          <div key={name} className="tile">
            <span className="name">{name}</span>
            <span className="value" data-live={name}>
              {value}
            </span>
            <span className="note" data-live={`${name}-note`}>
              {note}
            </span>
          </div>
        ))}
      </div>
    </section>
  );
}
