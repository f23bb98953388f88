import { randomBytes } from 'node:crypto';

export type IdPrefix = 'vid' | 'conv' | 'item' | 'resp' | 'msg' | 'sess' | 'event' | 'chatcmpl' | 'req' | 'key' | 'file' | 'batch' | 'batch_req';

/** A new id such as `vid_3f9c...`: 96 random bits, so it cannot be guessed and needs no register. */
export function newId(prefix: IdPrefix): string {
  return `${prefix}_${randomBytes(12).toString('hex')}`;
}

/** True for ids this server could have made; anything else names nothing and never reaches a path. */
export function isId(prefix: IdPrefix, value: string): boolean {
  return value.startsWith(`${prefix}_`) && /^[0-9a-f]{24}$/.test(value.slice(prefix.length + 1));
}

/** Seconds since 1970, with milliseconds. */
export function now_s(): number {
  return Date.now() / 1000;
}
