/** The figures as a table for the terminal and as JSON. */
import type { Judgement } from './judge.js';
import { rowLabel } from './rows.js';
import type { Figure, RowScores } from './scores.js';

/** Rows side by side, then exact match by type of question. */
export function scoreTable(rows: readonly RowScores[]): string {
  const first = rows[0];
  if (first === undefined) return '';
  const head = ['', 'items', ...first.figures.map(({ label }) => label)];
  const body = rows.map(({ row, count, failed, figures }) => [rowLabel(row), failed === 0 ? String(count) : `${count} (${failed} failed)`, ...figures.map(cell)]);
  const types = [...new Set(rows.flatMap((row) => row.types.map(({ name }) => name)))].sort();
  const typed = types.map((name) => {
    const parts = rows.map((row) => row.types.find((type) => type.name === name));
    const count = Math.max(...parts.map((part) => part?.count ?? 0));
    return [name, String(count), ...parts.map((part) => (part?.figures[0] === undefined ? '-' : cell(part.figures[0])))];
  });
  const byType = typed.length === 0 ? [] : ['', ...aligned([[`${first.figures[0]?.label} by type`, 'items', ...rows.map(({ row }) => row)], ...typed])];
  return [...aligned([head, ...body]), ...byType].join('\n');
}

function cell({ value, interval }: Figure): string {
  return interval === null ? value.toFixed(4) : `${value.toFixed(4)} [${interval.map((end) => end.toFixed(3)).join(', ')}]`;
}

/** Columns side by side: the first to the left, the others to the right. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows.map((row) => row.map((text, column) => (column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0))).join('  ').trimEnd());
}

/** Every figure, every item's score, every verdict. */
export function reportJson(facts: Readonly<Record<string, unknown>>, rows: readonly RowScores[], judge: Judgement | null): string {
  const values = (figures: readonly Figure[]): Record<string, unknown> =>
    Object.fromEntries(figures.flatMap(({ key, value, interval }): [string, unknown][] => [[key, value], ...(interval === null ? [] : [[`${key}_interval`, interval] as [string, unknown]])]));
  const rowsByName = rows.map(({ row, count, failed, figures, types, items }): [string, unknown] => [
    row,
    {
      label: rowLabel(row),
      count,
      failed,
      ...values(figures),
      ...(types.length === 0 ? {} : { types: Object.fromEntries(types.map((type) => [type.name, { count: type.count, ...values(type.figures) }])) }),
      items,
    },
  ]);
  return `${JSON.stringify({ ...facts, rows: Object.fromEntries(rowsByName), ...(judge === null ? {} : { judge }) }, null, 2)}\n`;
}
