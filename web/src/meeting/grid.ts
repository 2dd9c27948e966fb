/** How many columns and rows show `count` pictures of 16:9 as large as can be in a space of that size. */
export function gridOf(count: number, width: number, height: number): { columns: number; rows: number } {
  let best = { columns: 1, rows: Math.max(1, count), size: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns += 1) {
    const rows = Math.ceil(Math.max(1, count) / columns);
    const size = Math.min(width / columns, (height / rows) * (16 / 9));
    // Of two as good, the wider: pictures are wide.
    if (size >= best.size) best = { columns, rows, size };
  }
  return { columns: best.columns, rows: best.rows };
}
