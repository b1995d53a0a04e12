/** Columns as wide as their widest cell, two blanks between them; cells are texts without line breaks. */
export function toTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)));
  const toLine = (row: readonly string[]): string =>
    `${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd();
  return `${[head, ...rows].map(toLine).join('\n')}\n`;
}
