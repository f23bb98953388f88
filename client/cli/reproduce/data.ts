/** Figures as lines of names and numbers: gathered, averaged, laid out as tables and written as CSV. */
import { csvLine } from '../csv.js';
import type { Datum, Results } from './study.js';

/** Lines of all cells but those that are missing. */
export function dataOf(results: Results): Datum[] {
  return [...results.values()].flatMap((result) => ('data' in result ? result.data : []));
}

/** A line for each row that cannot be had here, once: its names, and why in the field `missing`. */
export function missingOf(results: Results): Datum[] {
  const lines = [...results.values()].flatMap((result): [string, Datum][] => {
    if (!('missing' in result)) return [];
    const line = { ...result.names, missing: result.missing };
    return [[JSON.stringify(line), line]];
  });
  return [...new Map(lines).values()];
}

/** Values of a field in order of first appearance. */
export function valuesOf(data: readonly Datum[], field: string): (string | number)[] {
  return [...new Set(data.flatMap((datum) => datum[field] ?? []))];
}

/** Lines whose fields have these values. */
export function where(data: readonly Datum[], wanted: Datum): Datum[] {
  return data.filter((datum) => Object.entries(wanted).every(([field, value]) => datum[field] === value));
}

/** A number of a line; NaN where it has none. */
export function numberOf(datum: Datum | undefined, field: string): number {
  const value = datum?.[field];
  return typeof value === 'number' ? value : NaN;
}

/** Lines that differ in the field `over` alone become one, with `name` in it and means of the numbers that all of them have. */
export function meanOver(data: readonly Datum[], over: string, keys: readonly string[], name: string): Datum[] {
  const groups = new Map<string, Datum[]>();
  for (const datum of data) {
    const key = JSON.stringify(keys.map((field) => datum[field]));
    groups.set(key, [...(groups.get(key) ?? []), datum]);
  }
  return [...groups.values()].map((group) => {
    const first = group[0] as Datum;
    const shared = Object.keys(first).filter((field) => keys.includes(field) || group.every((datum) => typeof datum[field] === 'number'));
    const values = shared.map((field): [string, string | number] => [field, keys.includes(field) ? (first[field] as string | number) : group.reduce((sum, datum) => sum + numberOf(datum, field), 0) / group.length]);
    return { [over]: name, ...Object.fromEntries(values) };
  });
}

/** A field as a table shows it: rounded, or a dash. */
export function shown(datum: Datum | undefined, field: string, digits: number): string {
  const value = numberOf(datum, field);
  return Number.isNaN(value) ? '-' : value.toFixed(digits);
}

/** Columns in order of first appearance. Numbers keep six digits: none of them is known better. */
export function csvOf(data: readonly Datum[]): string {
  const columns = [...new Set(data.flatMap((datum) => Object.keys(datum)))];
  const field = (value: string | number | undefined): string | number | undefined => (typeof value === 'number' ? Number(value.toPrecision(6)) : value);
  return [columns, ...data.map((datum) => columns.map((column) => field(datum[column])))].map(csvLine).join('');
}
