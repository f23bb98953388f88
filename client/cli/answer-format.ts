/** Options that say what an answer must be: one of several texts, or JSON under a schema. */
import { readFile } from 'node:fs/promises';
import { Option } from 'commander';
import type { Grammar } from '../../model/language/index.js';
import { UserError } from './failure.js';

export interface FormatOptions {
  readonly choice?: readonly string[];
  readonly schema?: string;
}

/** As plain data, so that it can be handed to workers and kept in marks. */
export type AnswerFormat = { readonly choice: readonly string[] } | { readonly schema: unknown };

export const choiceOption = (): Option =>
  new Option('--choice <text>', 'the answer is this text or that of another --choice').argParser((text: string, others: readonly string[] = []) => [...others, text]);
export const schemaOption = (): Option => new Option('--schema <file>', 'the answer is JSON under the JSON schema in this file').conflicts('choice');

/** undefined where any answer will do. @throws UserError naming what is wrong with the schema */
export async function formatFrom({ choice, schema: file }: FormatOptions): Promise<AnswerFormat | undefined> {
  if (choice !== undefined) {
    if (choice.some((text) => text === '')) throw new UserError('A --choice must have a text.');
    return { choice };
  }
  if (file === undefined) return undefined;
  const text = await readFile(file, 'utf8');
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (cause) {
    throw new UserError(`${file} is not JSON. It must be one JSON schema.`, { cause });
  }
  const format = { schema };
  const { SchemaError } = await import('../../model/language/index.js');
  await grammarOf(format).catch((cause: unknown) => {
    throw cause instanceof SchemaError ? new UserError(`${file}: the schema's part ${cause.message}.`, { cause }) : cause;
  });
  return format;
}

export async function grammarOf(format: AnswerFormat): Promise<Grammar> {
  const { jsonSchema, oneOf } = await import('../../model/language/index.js');
  return 'choice' in format ? oneOf(format.choice) : jsonSchema(format.schema);
}
