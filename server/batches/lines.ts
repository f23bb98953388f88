/** The lines of a batch's input: bytes that anybody may have sent, read one line at a time. */
import { ApiError } from '../errors.js';

/** Characters of a custom_id: room for a path, and 50,000 of them stay below a few MB in memory. */
export const longestCustomId = 512;
/** The one address that batches may ask. */
export const batchUrl = '/v1/chat/completions';

/** A question of a batch. */
export interface BatchLine {
  /** From 1, as editors count; blank lines count too. */
  readonly number: number;
  readonly customId: string;
  /** As the chat completions take it, not checked yet. */
  readonly body: object;
}

/** A line that is none, with its number. */
export class LineError extends Error {
  override readonly name = 'LineError';

  constructor(
    readonly line: number,
    readonly problem: ApiError,
  ) {
    super(`line ${line}: ${problem.message}`);
  }
}

const NEWLINE = 0x0a;

/**
 * The lines of a file that are not blank, whatever pieces its bytes come in.
 * @param mostBytes of one line, without its end
 * @throws LineError for a line that is too long, or is not UTF-8
 */
export async function* textLines(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, mostBytes: number): AsyncGenerator<{ readonly number: number; readonly text: string }> {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  let number = 1;
  const add = (part: Uint8Array): void => {
    bytes += part.length;
    if (bytes > mostBytes) throw new LineError(number, new ApiError('invalid_request', { message: `The line has more than ${mostBytes} bytes.` }));
    if (part.length > 0) parts.push(part);
  };
  const take = (): string => {
    const text = decoded(parts, number);
    parts = [];
    bytes = 0;
    return text;
  };
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      add(chunk.subarray(from, end));
      const text = take();
      if (text.trim() !== '') yield { number, text };
      number++;
      from = end + 1;
    }
    add(chunk.subarray(from));
  }
  const text = take();
  if (text.trim() !== '') yield { number, text };
}

/** A byte order mark is no part of the text. */
function decoded(parts: readonly Uint8Array[], line: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
  } catch (cause) {
    throw new LineError(line, new ApiError('invalid_json', { message: 'The line is not UTF-8 text.', cause }));
  }
}

const FIELDS = ['custom_id', 'method', 'url', 'body'];

/** @throws LineError naming the field that is wrong */
export function batchLine({ number, text }: { readonly number: number; readonly text: string }): BatchLine {
  const refuse = (problem: ApiError): never => {
    throw new LineError(number, problem);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    return refuse(new ApiError('invalid_json', { message: 'The line is not JSON. Each line must be one JSON object.', cause }));
  }
  if (!isObject(value)) return refuse(new ApiError('invalid_request', { message: 'Each line must be one JSON object.' }));
  const wrong = (param: string, rule: string): never => refuse(new ApiError('invalid_request', { param, message: `The field "${param}" ${rule}.` }));
  const unknown = Object.keys(value).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) {
    const param = unknown.slice(0, 200);
    return refuse(new ApiError('unsupported_parameter', { param, message: `The field ${JSON.stringify(param)} is not supported.` }));
  }
  const { custom_id, method, url, body } = value;
  if (typeof custom_id !== 'string' || custom_id === '' || custom_id.length > longestCustomId) return wrong('custom_id', `must be a text of 1 to ${longestCustomId} characters`);
  if (method !== 'POST') return wrong('method', 'must be "POST"');
  if (url !== batchUrl) return wrong('url', `must be "${batchUrl}"`);
  if (!isObject(body)) return wrong('body', 'must be an object, as chat completions take it');
  return { number, customId: custom_id, body };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
