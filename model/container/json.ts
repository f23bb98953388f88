import { checkLimit } from './bytes.js';
import { ContainerError, malformed } from './errors.js';
import { MAX_JSON_DEPTH } from './limits.js';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/**
 * Parses one JSON object from untrusted bytes: at most `maxBytes` long, MAX_JSON_DEPTH deep and valid UTF-8. `what` names it in messages.
 */
export function parseJsonObject(bytes: Uint8Array, maxBytes: number, what: string): JsonObject {
  checkLimit(bytes.length, maxBytes, `The length of the ${what}`);
  checkDepth(bytes, what);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw malformed(`The ${what} is not valid JSON.`);
  }
  if (!isJsonObject(value)) throw malformed(`The ${what} is not a JSON object.`);
  return value;
}

/** The UTF-8 bytes of `object`; refuses what the reader would refuse. */
export function jsonBytes(object: JsonObject, maxBytes: number, what: string): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify(object));
  checkLimit(bytes.length, maxBytes, `The length of the ${what}`);
  checkDepth(bytes, what);
  return bytes;
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Counts brackets outside strings before the recursive parser sees them. */
function checkDepth(bytes: Uint8Array, what: string): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number;
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) {
      inString = true;
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++;
      if (depth > MAX_JSON_DEPTH) {
        throw new ContainerError('limit_exceeded', `The ${what} nests more than ${MAX_JSON_DEPTH} levels.`);
      }
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    }
  }
}
