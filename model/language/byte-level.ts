/**
 * The alphabet of byte-level BPE (GPT-2's): each of the 256 bytes has a printable character of its own. Printable
 * ASCII and Latin-1 stand for themselves; the other 68 bytes, in order, for the characters from U+0100 on.
 */
const byCharacter = new Map<string, number>();

let next = 0x100;
for (let byte = 0; byte < 256; byte++) {
  const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  byCharacter.set(String.fromCodePoint(printable ? byte : next++), byte);
}

/** The byte a character of a token stands for. @throws RangeError for a character outside the alphabet */
export function byteOfCharacter(character: string): number {
  const byte = byCharacter.get(character);
  if (byte === undefined) throw new RangeError(`"${character}" is not a character of byte-level BPE`);
  return byte;
}
