/** What stands between the members of a JSON object, and the items of a list: at most one blank after a colon or a comma. */
import { literal, optional, sequence } from './grammar.js';

export const BLANK = optional(literal(' '));
export const COMMA = sequence(literal(','), BLANK);
export const COLON = sequence(literal(':'), BLANK);
export const END_OF_OBJECT = literal('}');
