/** Random JSON schemas of the kind that grammars hold answers to, and random texts under them. */
import { startOf, type Grammar } from '../../model/language/index.js';

type Schema = Record<string, unknown> | boolean;

export class RandomSchemas {
  #names = 0;

  /** @param random numbers from 0 to 1 */
  constructor(private readonly random: () => number) {}

  /** A schema with definitions that may name themselves and each other. */
  next(): Schema {
    const schema = this.#schema(3);
    if (typeof schema === 'boolean') return schema;
    return { ...schema, $defs: { one: this.#schema(2), two: { type: 'object', properties: { again: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/two' }] }, n: this.#schema(1) }, required: ['again'] } } };
  }

  #below(most: number): number {
    return Math.floor(this.random() * most);
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#below(from.length)] as T;
  }

  #schema(depth: number): Schema {
    const made = [this.#string, this.#number, this.#values, this.#types, this.#untyped, ...(depth > 0 ? [this.#object, this.#object, this.#list, this.#union, this.#several, this.#reference, this.#one] : [])];
    if (this.random() < 0.02) return this.random() < 0.8;
    const schema = this.#pick(made).call(this, depth - 1);
    return this.random() < 0.2 ? { title: 'T', description: 'd', default: null, 'x-order': 1, ...schema } : schema;
  }

  #string(): Record<string, unknown> {
    const min = this.#below(4);
    return { type: 'string', ...(this.random() < 0.5 ? { minLength: min } : {}), ...(this.random() < 0.5 ? { maxLength: min + this.#below(30) } : {}), ...(this.random() < 0.2 ? { format: 'date' } : {}) };
  }

  #number(): Record<string, unknown> {
    const scale = this.#pick([1, 10, 1000, 1e6, 1e15, 1e-3]);
    const from = (this.random() - 0.5) * scale;
    const integer = this.random() < 0.5;
    const at = (value: number): number => (integer || this.random() < 0.3 ? Math.round(value) : value);
    const low = at(from);
    const high = at(from + this.random() * scale) + (integer ? 2 : 0);
    return {
      type: integer ? 'integer' : 'number',
      ...(this.random() < 0.6 ? { [this.#pick(['minimum', 'exclusiveMinimum'])]: low } : {}),
      ...(this.random() < 0.6 ? { [this.#pick(['maximum', 'exclusiveMaximum'])]: high } : {}),
    };
  }

  #values(): Record<string, unknown> {
    const values = [null, true, 0, -1.5, 1e21, 'a', 'ab', 'é"\\\n', '💥', [], [1, 'x'], {}, { a: 1 }, { a: { b: [null] } }];
    const some = Array.from({ length: 1 + this.#below(4) }, () => this.#pick(values));
    const siblings = this.#pick([{}, {}, { minLength: 1 }, { maximum: 0 }, { type: ['string', 'null', 'object', 'array'] }, { required: ['a'], properties: { a: true } }]);
    return this.random() < 0.5 ? { const: some[0], ...siblings } : { enum: [...new Set(some)], ...siblings };
  }

  #types(): Record<string, unknown> {
    const types = ['string', 'integer', 'number', 'boolean', 'null', 'array', 'object'].filter(() => this.random() < 0.4);
    return { type: types.length === 0 ? 'boolean' : types, minLength: 2, maximum: 99, maxItems: 2 };
  }

  #untyped(): Record<string, unknown> {
    return this.#pick([{}, { minLength: 3 }, { exclusiveMinimum: 0, maximum: 1 }, { maxItems: 1 }]);
  }

  #object(depth: number): Record<string, unknown> {
    const names = Array.from({ length: this.#below(5) }, () => this.#pick(['a', 'ab', 'b', 'name', 'n"\\', 'é', 'toString', `p${this.#names++}`]));
    const properties = Object.fromEntries([...new Set(names)].map((name) => [name, this.#schema(depth)]));
    const rest = this.#pick([{}, { additionalProperties: false }, { additionalProperties: false }, { additionalProperties: true }, { additionalProperties: this.#schema(depth) }]);
    return { type: 'object', properties, required: Object.keys(properties).filter(() => this.random() < 0.5), ...rest };
  }

  #list(depth: number): Record<string, unknown> {
    const min = this.#below(3);
    return { type: 'array', items: this.#schema(depth), ...(this.random() < 0.5 ? { minItems: min } : {}), ...(this.random() < 0.5 ? { maxItems: min + this.#below(4) } : {}) };
  }

  #union(depth: number): Record<string, unknown> {
    const siblings = this.#pick([{}, {}, { type: ['object', 'string', 'integer'] }, { minLength: 1 }, { properties: { a: this.#schema(depth) } }]);
    return { anyOf: Array.from({ length: 1 + this.#below(3) }, () => this.#schema(depth)), ...siblings };
  }

  #one(depth: number): Record<string, unknown> {
    return { oneOf: [{ type: 'object', properties: { kind: { const: 'x' }, v: this.#schema(depth) }, required: ['kind'] }, { type: 'object', properties: { kind: { enum: ['y', 'z'] } }, required: ['kind'] }, { type: 'null' }] };
  }

  #several(depth: number): Record<string, unknown> {
    const parts = [this.#object(depth), this.#object(depth)];
    return this.random() < 0.5 ? { allOf: parts } : { ...this.#object(depth), allOf: [{ $ref: '#/$defs/one' }] };
  }

  #reference(depth: number): Record<string, unknown> {
    const siblings = this.#pick([{}, {}, { description: 'd' }, { minLength: 1 }, { properties: { n: this.#schema(depth) }, required: ['n'] }]);
    return { $ref: this.#pick(['#/$defs/one', '#/$defs/two', '#/%24defs/two']), ...siblings };
  }
}

/** A random text of a grammar, which goes to its end the shortest way after `free` bytes. */
export function randomText(grammar: Grammar, free: number, random: () => number): string {
  const bytes: number[] = [];
  for (let state = startOf(grammar); ; ) {
    if (state.over || (state.whole && random() < 0.2)) return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
    const near = bytes.length >= free;
    if (near && state.whole) return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
    const ways = Array.from({ length: 256 }, (_, byte) => ({ byte, next: state.next(byte) })).filter(({ next }) => next !== null && (!near || next.size < state.size));
    const way = ways[Math.floor(random() * ways.length)];
    if (way === undefined || way.next === null) throw new Error(`no byte goes on after ${JSON.stringify(String.fromCharCode(...bytes))}`);
    bytes.push(way.byte);
    state = way.next;
  }
}
