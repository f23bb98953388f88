/** The tokens of a tokenizer by their bytes: a tree, so that what many tokens begin with is read once. */
import type { TextTokenizer } from './tokenizer.js';

/**
 * Bytes of the longest token that is used. Longer ones are runs of one sign, which shorter ones can write; without them a counter above this
 * is like any other above it, so that the masks inside a long string are one mask.
 */
const LONGEST_TOKEN = 24;

/** Worked out once for each tokenizer. */
const vocabularies = new WeakMap<Pick<TextTokenizer, 'bytes'>, Vocabulary>();

export function vocabularyOf(tokenizer: Pick<TextTokenizer, 'bytes'>, size: number): Vocabulary {
  let known = vocabularies.get(tokenizer);
  if (known?.tokens.length !== size) vocabularies.set(tokenizer, (known = new Vocabulary(Array.from({ length: size }, (_, id) => tokenizer.bytes(id)))));
  return known;
}

export class Vocabulary {
  /** By node, each before what is below it: the byte that leads to it, its depth from 1, and the first node that is not below it. */
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  readonly ends: Int32Array;
  /** By node, the first token that ends there, or -1. */
  readonly ids: Int32Array;
  /** By token, the next one of the same bytes, or -1. */
  readonly twins: Int32Array;
  /** Bytes of the longest token. */
  readonly longest: number;
  /** Whether every byte that texts are made of is a token: then nothing needs more tokens than bytes. */
  readonly hasBytes: boolean;
  readonly #roots = new Int32Array(256).fill(-1);

  constructor(readonly tokens: readonly Uint8Array[]) {
    const order = [...tokens.keys()].filter((id) => isUsed(tokens[id] as Uint8Array)).sort((a, b) => compare(tokens[a] as Uint8Array, tokens[b] as Uint8Array) || a - b);
    const room = order.reduce((sum, id) => sum + (tokens[id] as Uint8Array).length, 0);
    const [bytes, depths, ends, ids] = [new Uint8Array(room), new Uint16Array(room), new Int32Array(room), new Int32Array(room).fill(-1)];
    this.twins = new Int32Array(tokens.length).fill(-1);
    /** The nodes that lead to the last token. */
    const way: number[] = [];
    let nodes = 0;
    let last: Uint8Array = new Uint8Array();
    for (const id of order) {
      const token = tokens[id] as Uint8Array;
      const shared = common(last, token);
      for (const node of way.splice(shared)) ends[node] = nodes;
      for (let depth = shared; depth < token.length; depth++) {
        if (depth === 0) this.#roots[token[0] as number] = nodes;
        bytes[nodes] = token[depth] as number;
        depths[nodes] = depth + 1;
        way.push(nodes++);
      }
      const node = way.at(-1) as number;
      this.twins[id] = ids[node] as number;
      ids[node] = id;
      last = token;
    }
    for (const node of way) ends[node] = nodes;
    [this.bytes, this.depths, this.ends, this.ids] = [bytes.subarray(0, nodes), depths.subarray(0, nodes), ends.subarray(0, nodes), ids.subarray(0, nodes)];
    this.longest = this.depths.reduce((most, depth) => Math.max(most, depth), 0);
    this.hasBytes = UTF8_BYTES.every((byte) => this.#isToken(this.#roots[byte] as number));
  }

  /** The lengths of the tokens that `text` begins with at `start`. */
  *lengthsAt(text: readonly number[], start: number): Generator<number> {
    let node = this.#roots[text[start] as number] as number;
    for (let length = 1; node >= 0; length++) {
      if (this.#isToken(node)) yield length;
      node = start + length < text.length ? this.#below(node, text[start + length] as number) : -1;
    }
  }

  #isToken(node: number): boolean {
    return node >= 0 && (this.ids[node] as number) >= 0;
  }

  #below(node: number, byte: number): number {
    const end = this.ends[node] as number;
    for (let child = node + 1; child < end; child = this.ends[child] as number) if (this.bytes[child] === byte) return child;
    return -1;
  }
}

const isUsed = ({ length }: Uint8Array): boolean => length > 0 && length <= LONGEST_TOKEN;

/** Every byte of UTF-8 but control characters and the first bytes of the planes that Unicode has left empty, which many vocabularies lack. */
const UTF8_BYTES = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte >= 0x20 && byte < 0xf5 && ![0x7f, 0xc0, 0xc1, 0xf1, 0xf2].includes(byte));

function compare(a: Uint8Array, b: Uint8Array): number {
  const length = common(a, b);
  return length < a.length && length < b.length ? (a[length] as number) - (b[length] as number) : a.length - b.length;
}

function common(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a[length] === b[length]) length++;
  return length;
}
