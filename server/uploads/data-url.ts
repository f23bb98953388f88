/** The bytes of `data:` addresses (RFC 2397), in all the ways that programs write them. */
import { ApiError } from '../errors.js';

/** Characters before the bytes: a media type and parameters, such as a list of codecs. */
const LONGEST_HEAD = 300;
/** Recorders in browsers put a list of codecs into the type, commas included: `;base64,` is looked for before a comma. */
const BASE64_HEAD = new RegExp(`^data:[^]{0,${LONGEST_HEAD}}?;\\s*base64\\s*,`, 'i');
const PERCENT = 0x25;

/**
 * The bytes of a `data:` address: base64 of either alphabet, with or without padding, line breaks and escapes, or
 * escaped bytes.
 * Their type is judged later, from themselves.
 * @param most bytes
 * @throws ApiError `invalid_data_url`, `upload_too_large`, `empty_file`, naming `param`
 */
export function dataUrlBytes(url: string, most: number, param: string): Buffer {
  const head = BASE64_HEAD.exec(url)?.[0];
  const bytes = head === undefined ? escapedBytes(url, most, param) : base64Bytes(url.slice(head.length), most, param);
  if (bytes.length === 0) throw new ApiError('empty_file', { param });
  return bytes;
}

function base64Bytes(written: string, most: number, param: string): Buffer {
  const unescaped = written.includes('%')
    ? written.replace(/%([0-7][0-9a-f])/gi, (_escape, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    : written;
  const encoded = unescaped.replace(/\s+/g, '');
  const digits = encoded.replace(/={1,2}$/, '').length;
  checkSize(Math.floor((digits * 3) / 4), most, param);
  if (digits % 4 === 1 || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(encoded)) throw new ApiError('invalid_data_url', { param });
  return Buffer.from(encoded, 'base64');
}

/** Bytes that are written as they are, or as `%` and two digits. */
function escapedBytes(url: string, most: number, param: string): Buffer {
  const comma = url.slice(0, LONGEST_HEAD).indexOf(',');
  // Nothing that is a video or a photo can be written without an escape.
  if (comma < 0 || !url.includes('%', comma)) throw new ApiError('invalid_data_url', { param });
  const bytes = Buffer.from(url.slice(comma + 1), 'utf8');
  let length = 0;
  for (let at = 0; at < bytes.length; at++, length++) {
    const byte = bytes[at] as number;
    const escaped = byte === PERCENT ? /^[0-9a-f]{2}$/i.exec(bytes.toString('latin1', at + 1, at + 3))?.[0] : undefined;
    bytes[length] = escaped === undefined ? byte : Number.parseInt(escaped, 16);
    if (escaped !== undefined) at += 2;
  }
  checkSize(length, most, param);
  return bytes.subarray(0, length);
}

function checkSize(length: number, most: number, param: string): void {
  if (length <= most) return;
  throw new ApiError('upload_too_large', {
    param,
    message: `The data: address holds ${length} bytes; the limit is ${most}. Upload the file to /v1/uploads.`,
  });
}
