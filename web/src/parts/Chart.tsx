/** One line of a chart; `null` is a gap. */
export interface Series {
  readonly name: string;
  readonly className: string;
  readonly values: readonly (number | null)[];
  /** The area below is filled. */
  readonly filled?: boolean;
  /** Values stay until the next one, instead of being joined by slopes. */
  readonly stepped?: boolean;
}

interface ChartProps {
  readonly label: string;
  readonly series: readonly Series[];
  /** Places along the x axis. */
  readonly length: number;
  readonly top: number;
  readonly marks: readonly { readonly at: number; readonly text: string }[];
  readonly height: number;
}

const WIDTH = 600;

/** Lines over time, the newest value at the right edge. */
export function Chart({ label, series, length, top, marks, height }: ChartProps) {
  const x = (place: number, of: number) => WIDTH - ((of - 1 - place) * WIDTH) / (length - 1);
  const y = (value: number) => height - 4 - (Math.min(value, top) / top) * (height - 12);
  return (
    <figure className="chart">
      <div className="plot" style={{ height }}>
        <svg viewBox={`0 0 ${WIDTH} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
          {marks.map(({ at, text }) => (
            <line key={text} className="grid" x1="0" x2={WIDTH} y1={y(at)} y2={y(at)} />
          ))}
          {series.map((one) => (
            <g key={one.name} className={one.className} data-series={one.name} data-last={one.values.at(-1) ?? ""}>
              {runs(one).map((run) => (
                <Run key={run[0]?.[0] ?? 0} run={run} of={one.values.length} series={one} x={x} y={y} base={height} />
              ))}
            </g>
          ))}
        </svg>
        {marks.map(({ at, text }) => (
          <span key={text} className="mark" style={{ top: y(at) }}>
            {text}
          </span>
        ))}
      </div>
      <figcaption>
        {series.map((one) => (
          <span key={one.name} className={`key ${one.className}`}>
            {one.name}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

type Point = readonly [place: number, value: number];

/** Values without the gaps, as pieces. */
function runs({ values }: Series): Point[][] {
  const found: Point[][] = [];
  let current: Point[] = [];
  values.forEach((value, place) => {
    if (value === null) {
      if (current.length > 0) found.push(current);
      current = [];
    } else {
      current.push([place, value]);
    }
  });
  return current.length > 0 ? [...found, current] : found;
}

interface RunProps {
  readonly run: Point[];
  readonly of: number;
  readonly series: Series;
  readonly x: (place: number, of: number) => number;
  readonly y: (value: number) => number;
  readonly base: number;
}

function Run({ run, of, series, x, y, base }: RunProps) {
  const first = run[0];
  const last = run.at(-1);
  if (first === undefined || last === undefined) return null;
  let path = `M${x(first[0], of)},${y(first[1])}`;
  for (const [place, value] of run.slice(1)) {
    path += series.stepped === true ? `H${x(place, of)}V${y(value)}` : `L${x(place, of)},${y(value)}`;
  }
  const area = `${path}L${x(last[0], of)},${base}L${x(first[0], of)},${base}Z`;
  return (
    <>
      {series.filled === true && <path className="area" d={area} />}
      <path className="line" d={path} />
    </>
  );
}
