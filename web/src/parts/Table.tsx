import type { ReactNode } from "react";

export interface Row {
  readonly key: string;
  /** Attributes of the row, such as `data-…`. */
  readonly attributes?: Readonly<Record<string, string>>;
  readonly chosen?: boolean;
  /** One for each heading. */
  readonly cells: readonly ReactNode[];
}

interface TableProps {
  /** The id of the heading that names it. */
  readonly labelledBy: string;
  readonly headings: readonly string[];
  readonly rows: readonly Row[];
}

/**
 * A table that becomes a list of cards where it is narrow. Its roles are written out, since what is no longer
 * displayed as a table is otherwise none to a screen reader.
 */
export function Table({ labelledBy, headings, rows }: TableProps) {
  return (
    <table className="dense" role="table" aria-labelledby={labelledBy}>
      <thead role="rowgroup">
        <tr role="row">
          {headings.map((heading) => (
            <th key={heading} role="columnheader" scope="col">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map(({ key, attributes, chosen, cells }) => (
          <tr key={key} role="row" className={chosen === true ? "chosen" : ""} {...attributes}>
            {cells.map((cell, place) => (
              <td key={headings[place] ?? place} role="cell" data-heading={headings[place]}>
                <div>{cell}</div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
