/** What the benchmarks share: medians, and tables a person can read. */
import os from 'node:os';

export { median, timed } from './timing.js';

/** Prints rows under a header, columns aligned; the first row names them. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  rows.forEach((row, i) => {
    console.log(row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number))).join('  '));
    if (i === 0) console.log(widths.map((width) => '-'.repeat(width)).join('  '));
  });
}

/** One line about the machine a table was made on. */
export function machine(): string {
  return `${os.cpus()[0]?.model.trim() ?? 'unknown processor'}, ${os.cpus().length} cores, Node ${process.version}`;
}
