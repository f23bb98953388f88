/**
 * JSON schemas as grammars: what a model writes under one always parses, and satisfies the schema. Objects are written with their properties
 * in the schema's order and no others.
 */
import { choice, later, member, oneOf, literal, sequence, type Grammar, type Member } from './grammar.js';
import { anyValue, jsonObject, list, record, string } from './json-text.js';
import { numberIn, type NumberRange } from './number-text.js';
import { SchemaError } from './schema-error.js';
import { partsKey, type Form, type Parts, type Properties } from './schema-forms.js';
import { checkSize, MAX_RANGES } from './schema-limits.js';
import { SchemaReader } from './schema-reader.js';
import { shortest } from './shortest.js';

/** @throws SchemaError naming the part of the schema that is wrong, too large or not supported */
export function jsonSchema(schema: unknown): Grammar {
  checkSize(schema);
  const grammar = new Compiler(new SchemaReader(schema)).compile([{ schema, path: '#' }]);
  if (shortest(grammar) === Infinity) throw new SchemaError('#', 'allows no value that comes to an end');
  return grammar;
}

class Compiler {
  /** By what they say, so that equal parts of a schema are one grammar. */
  readonly #made = new Map<string, Grammar>();
  readonly #members = new Map<string, Member>();
  #ranges = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly reader: SchemaReader) {}

  compile(parts: Parts): Grammar {
    const grammar = this.#grammarOf(parts);
    for (let make = this.#waiting.pop(); make !== undefined; make = this.#waiting.pop()) make();
    return grammar;
  }

  /** A grammar that is there when `compile` has ended: parts may name each other, and lie deep. */
  #grammarOf(parts: Parts): Grammar {
    if (parts.length === 0) return anyValue;
    return this.#once(partsKey(parts), () => {
      let made: Grammar | null = null;
      this.#waiting.push(() => {
        made = choice(...this.reader.formsOf(parts).map((form) => this.#form(form)));
      });
      return later(() => made as Grammar);
    });
  }

  #form(form: Form): Grammar {
    switch (form.type) {
      case 'values':
        return oneOf(form.values.map((value) => JSON.stringify(value)));
      case 'string':
        return this.#once(`string ${form.min} ${form.max}`, () => string(form.min, form.max));
      case 'number':
        return this.#once(`number ${form.integer} ${JSON.stringify([form.low, form.high])}`, () => this.#range(form));
      case 'array': {
        const item = this.#grammarOf(form.items);
        return this.#once(`list ${item.id} ${form.min} ${form.max}`, () => list(item, form.min, form.max));
      }
      case 'object':
        return this.#object(form);
    }
  }

  #range(range: NumberRange): Grammar {
    if (++this.#ranges > MAX_RANGES) throw new SchemaError('#', `has more than ${MAX_RANGES} different ranges of numbers`);
    return numberIn(range);
  }

  #object({ properties, required, others, path }: Properties): Grammar {
    const unknown = [...required].find((name) => !properties.has(name));
    if (unknown !== undefined) throw new SchemaError(`${path}/required`, `names ${JSON.stringify(unknown.slice(0, 100))}, which is not among the properties`);
    if (properties.size === 0) return others === null ? literal('{}') : others.length === 0 ? jsonObject : record(this.#grammarOf(others));
    let next: Member | null = null;
    for (const [name, parts] of [...properties].reverse()) next = this.#member(name, required.has(name), this.#grammarOf(parts), next);
    return sequence(literal('{'), (next as Member).first);
  }

  /** Objects that end alike share their ends: then the automaton need not tell them apart. */
  #member(name: string, needed: boolean, value: Grammar, next: Member | null): Member {
    const key = `${JSON.stringify(name)} ${needed} ${value.id} ${next?.id}`;
    let made = this.#members.get(key);
    if (made === undefined) this.#members.set(key, (made = member(name, needed, value, next)));
    return made;
  }

  #once(key: string, make: () => Grammar): Grammar {
    let made = this.#made.get(key);
    if (made === undefined) this.#made.set(key, (made = make()));
    return made;
  }
}
