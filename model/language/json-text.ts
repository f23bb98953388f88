/** The texts of JSON values: strings, lists, objects, and any value at all. White space is at most one blank after a colon or a comma. */
import { branch, choice, ending, later, literal, oneOf, optional, repeat, sequence, type Grammar, type MachineNode } from './grammar.js';
import { numberIn } from './number-text.js';
import { COLON, COMMA, END_OF_OBJECT } from './object-text.js';

const HEX = [[0x30, 0x39], [0x41, 0x46], [0x61, 0x66]] as const;

/** One character inside quotes: RFC 8259's, in well-formed UTF-8; escapes of single surrogates are left out. */
const CHARACTER: MachineNode = (() => {
  const end = ending();
  const tail = branch([[[0x80, 0xbf]], end]);
  const tails = branch([[[0x80, 0xbf]], tail]);
  const hexes = branch([HEX, branch([HEX, end])]);
  const code = branch(
    [[[0x30, 0x39], [0x41, 0x43], [0x45, 0x46], [0x61, 0x63], [0x65, 0x66]], branch([HEX, hexes])],
    [[[0x44, 0x44], [0x64, 0x64]], branch([[[0x30, 0x37]], hexes])],
  );
  const escapes = [...'"\\/bfnrt'].map((escape) => [escape.charCodeAt(0), escape.charCodeAt(0)] as const);
  return branch(
    [[[0x20, 0x21], [0x23, 0x5b], [0x5d, 0x7e]], end],
    [[[0xc2, 0xdf]], tail],
    [[[0xe0, 0xe0]], branch([[[0xa0, 0xbf]], tail])],
    [[[0xe1, 0xec], [0xee, 0xef]], tails],
    [[[0xed, 0xed]], branch([[[0x80, 0x9f]], tail])],
    [[[0xf0, 0xf0]], branch([[[0x90, 0xbf]], tails])],
    [[[0xf1, 0xf3]], branch([[[0x80, 0xbf]], tails])],
    [[[0xf4, 0xf4]], branch([[[0x80, 0x8f]], tails])],
    [[[0x5c, 0x5c]], branch([escapes, end], [[[0x75, 0x75]], code])],
  );
})();

const QUOTE = literal('"');
const END_OF_LIST = literal(']');

/** A string of so many characters, counted as JSON schema counts them: in code points. */
export const string = (min: number, max: number): Grammar => sequence(QUOTE, repeat(CHARACTER, min, max), QUOTE);

export function list(item: Grammar, min: number, max: number): Grammar {
  if (max === 0) return literal('[]');
  const items = sequence(item, repeat(sequence(COMMA, item), Math.max(0, min - 1), max - 1));
  return sequence(literal('['), min === 0 ? optional(items) : items, END_OF_LIST);
}

/** An object of any names. */
export function record(value: Grammar): Grammar {
  const entry = sequence(string(0, Infinity), COLON, value);
  return sequence(literal('{'), optional(sequence(entry, repeat(sequence(COMMA, entry), 0, Infinity))), END_OF_OBJECT);
}

/** Any JSON value and any object, of any depth. */
export const anyValue: Grammar = later(() =>
  choice(string(0, Infinity), numberIn({ integer: false, low: null, high: null }), oneOf(['true', 'false', 'null']), jsonObject, list(anyValue, 0, Infinity)),
);

/** The grammar of `{"type": "json_object"}`: any one object. */
export const jsonObject: Grammar = record(anyValue);
