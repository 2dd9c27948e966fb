import { text } from "../strings";
import type { StatLine } from "../webrtc/statistics";

/** The statistics as a table; each value can be found by its name. */
export function StatTable({ lines }: { lines: StatLine[] }) {
  if (lines.length === 0) return null;
  return (
    <table aria-label={text.line.statistics}>
      <tbody>
        {lines.map(({ name, value }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td data-stat={name}>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
