/** Fields of published models' settings files. */
import { PackError } from '../pack/index.js';

export type Json = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A size, which some write as a pair of equal ones. @throws PackError naming `what` */
export function whole(value: unknown, what: string): number {
  const single: unknown = Array.isArray(value) && value.every((entry) => entry === value[0]) ? value[0] : value;
  if (typeof single !== 'number' || !Number.isInteger(single) || single < 1) throw new PackError(`${what} is ${JSON.stringify(value)}, not a whole number from 1 on`);
  return single;
}
