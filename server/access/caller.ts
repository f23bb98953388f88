/** Whose things are whose: videos, uploads, conversations, files and batches have an owner, and every request has a caller. */

/** Who asks for something. */
export interface Caller {
  /** Id of the API key it came with; null where no key is asked for. What it makes belongs to this owner. */
  readonly owner: string | null;
  /** Sees and may remove what is others': a key that was made for it, and whoever asks a server that asks for no key. */
  readonly operator: boolean;
}

/** What may belong to somebody. */
export interface Owned {
  /** Id of an API key; null: nobody's, which all may see. Demos and what was made while there were no keys are nobody's. */
  readonly owner: string | null;
}

/** True where the caller may know of the thing at all; to everybody else it is not there. */
export function sees(caller: Caller, { owner }: Owned): boolean {
  return caller.operator || owner === null || owner === caller.owner;
}

/** True where the caller may remove or end the thing: nobody's things are removed by an operator only. */
export function owns(caller: Caller, { owner }: Owned): boolean {
  return caller.operator || (owner !== null && owner === caller.owner);
}
