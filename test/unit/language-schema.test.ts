import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { jsonSchema, SchemaError, startOf, TokenConstraint, type Grammar, type GrammarState } from '../../model/language/index.js';
import { seededRandom } from '../../model/runtime/random.js';
import { fixture } from '../helpers/fixtures.js';
import { RandomSchemas, randomText } from '../helpers/random-schemas.js';

const ajv = (): Ajv2020 => new Ajv2020({ strict: false, validateFormats: false, ownProperties: true });

/** A vocabulary of single bytes, and longer tokens that cross from one part of a text into another; the last id ends an answer. */
const longer = ['"na', 'me":', ' "', '", "', '"}', '{"', 'true', 'ab', '[[[', '{"a":{"', '  ', '000', ']}', '"]', 'é', 'null,', '-1.'];
const tokens = [...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)), ...longer.map((text) => new TextEncoder().encode(text)), Uint8Array.of()];
const tokenizer = { bytes: (id: number) => tokens[id] ?? Uint8Array.of() };
const config = { vocab: tokens.length, eos: tokens.length - 1 };

/** Random tokens under a grammar. @returns the text, and whether it was whole before `room` tokens were used up */
function written(grammar: Grammar, room: number, random: () => number): { text: string; whole: boolean } {
  const constraint = new TokenConstraint(grammar, tokenizer, config);
  const bytes: number[] = [];
  for (let left = room; left > 0 && !constraint.over; left--) {
    const logits = Float32Array.from({ length: config.vocab }, () => random());
    constraint.mask(logits, left);
    const token = logits.indexOf(Math.max(...logits));
    if (token === config.eos) break;
    constraint.accept(token);
    bytes.push(...tokenizer.bytes(token));
  }
  return { text: new TextDecoder().decode(Uint8Array.from(bytes)), whole: constraint.whole };
}

test('every answer under a random schema is what an independent validator allows, also where little room is left', () => {
  const random = seededRandom('schemas');
  const schemas = new RandomSchemas(random);
  let [held, refused] = [0, 0];
  for (let run = 0; run < 150; run++) {
    const schema = schemas.next();
    let grammar: Grammar;
    try {
      grammar = jsonSchema(schema);
    } catch (error) {
      assert.ok(error instanceof SchemaError, String(error));
      refused++;
      continue;
    }
    held++;
    const validate = ajv().compile(schema);
    const { size } = startOf(grammar);
    for (let answer = 0; answer < 4; answer++) {
      const text = randomText(grammar, answer * 20, random);
      assert.ok(validate(JSON.parse(text)), `${JSON.stringify(schema)}\nallowed ${text}\n${JSON.stringify(validate.errors)}`);
    }
    for (const room of [size, size + 3, size + 40]) {
      const { text, whole } = written(grammar, room, random);
      assert.ok(whole, `${JSON.stringify(schema)}\nwas not ended in ${room} tokens: ${text}`);
      assert.ok(validate(JSON.parse(text)), `${JSON.stringify(schema)}\nallowed ${text}\n${JSON.stringify(validate.errors)}`);
    }
  }
  assert.ok(held > 90 && refused > 0, `${held} held, ${refused} refused`);
});

/** As zod, pydantic and the packages over them write them. */
const clients = JSON.parse(readFileSync(fixture('schemas/clients.json'), 'utf8')) as Record<string, object>;
for (const [name, schema] of Object.entries(clients)) {
  test(`what clients send is taken and held to: ${name}`, () => {
    const random = seededRandom(name);
    const grammar = jsonSchema(schema);
    const validate = new Ajv2020({ strict: false, validateFormats: false, ownProperties: true }).compile({ ...schema, $schema: 'https://json-schema.org/draft/2020-12/schema' });
    for (let run = 0; run < 20; run++) {
      const { text, whole } = written(grammar, startOf(grammar).size + 10 * run, random);
      assert.ok(whole && validate(JSON.parse(text)), text);
    }
  });
}

/** What fits a schema and what does not, as the texts that a grammar takes. */
const table: [schema: unknown, fits: unknown[], not: unknown[]][] = [
  [{ minimum: 3, type: 'integer' }, [3, 4, 999_999_999_999_999], [2, 0, -3]],
  [{ type: 'integer', minimum: -12, maximum: 107 }, [-12, -3, 0, 99, 100, 107], [-13, -20, 108, 1000]],
  [{ type: 'integer', exclusiveMinimum: -1, exclusiveMaximum: 1 }, [0], [-1, 1]],
  [{ type: 'integer', minimum: 0.5, maximum: 2.5 }, [1, 2], [0, 3]],
  [{ type: 'number', minimum: 0, maximum: 1 }, [0, 0.5, 1, 0.01], [1.01, -0.5, 2, 10]],
  [{ type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 0.1 }, [0.05, 0.01], [0, 0.1, 0.11]],
  [{ type: 'number', minimum: -1.5, maximum: -0.25 }, [-1.5, -1, -0.25], [0, -1.51, -0.2, 1]],
  [{ type: 'number', maximum: 1e-7 }, [0, -5], [0.1, 0.000001]],
  [{ type: 'string', minLength: 2, maxLength: 2 }, ['ab', '💥é', '"\\'], ['a', 'abc', '💥']],
  [{ const: 'x', type: 'string' }, ['x'], ['y']],
  [{ const: 'x', maxLength: 1, title: 'T' }, ['x'], ['y']],
  [{ enum: ['a', 'bb', 3, null], type: ['string', 'integer'], minLength: 2 }, ['bb', 3], ['a', null]],
  [{ enum: [{ a: 1 }, { a: 'x' }, {}], properties: { a: { type: 'integer' } }, required: ['a'] }, [{ a: 1 }], [{ a: 'x' }, {}]],
  [{ anyOf: [{ type: 'string' }, { type: 'integer' }], maxLength: 1, minimum: 5 }, ['a', 5], ['ab', 4]],
  [{ $ref: '#/$defs/s', maxLength: 2, $defs: { s: { type: 'string', minLength: 2 } } }, ['ab'], ['a', 'abc']],
  [{ allOf: [{ $ref: '#/definitions/o' }], description: 'd', definitions: { o: { type: 'object', properties: { a: { type: 'null' } }, required: ['a'] } } }, [{ a: null }], [{}, { a: 1 }]],
  [{ allOf: [{ properties: { a: { type: 'string' } }, required: ['a'] }, { properties: { a: { maxLength: 1 }, b: { type: 'null' } } }] }, [{ a: 'x' }, { a: '', b: null }], [{ a: 'xy' }, { b: null }]],
  [{ anyOf: [{ required: ['a'] }, { required: ['b'] }], type: 'object', properties: { a: { const: 1 }, b: { const: 2 } } }, [{ a: 1 }, { b: 2 }, { a: 1, b: 2 }], [{}]],
  [{ oneOf: [{ properties: { k: { const: 'a' } }, required: ['k'] }, { properties: { k: { const: 'b' }, v: { type: 'null' } }, required: ['k'] }] }, [{ k: 'a' }, { k: 'b', v: null }], [{}, { k: 'c' }]],
  [{ type: 'object', properties: { a: true, b: false }, required: ['a'] }, [{ a: [1, { x: null }] }], [{ a: 1, b: 1 }]],
  [{ type: 'object', additionalProperties: { type: 'integer' } }, [{}, { x: 1, y: 2 }], [{ x: 'y' }]],
  [{ type: 'array', items: { enum: [1, 2] }, minItems: 1, maxItems: 2 }, [[1], [2, 1]], [[], [3], [1, 1, 1]]],
  [{ type: ['null', 'array'], items: false }, [null, []], [[1]]],
  [JSON.parse('{"properties": {"__proto__": {"type": "null"}}}'), [JSON.parse('{"__proto__": null}')], [JSON.parse('{"__proto__": 1}')]],
];
for (const [schema, fits, not] of table) {
  test(`the values of ${JSON.stringify(schema)}`, () => {
    const grammar = jsonSchema(schema);
    const validate = ajv().compile(schema as object);
    for (const value of [...fits, ...not]) {
      if (!Object.hasOwn(Object(value) as object, '__proto__')) assert.equal(validate(value), fits.includes(value), `ajv about ${JSON.stringify(value)}`);
      let state: GrammarState | null = startOf(grammar);
      for (const byte of new TextEncoder().encode(JSON.stringify(value))) state = state?.next(byte) ?? null;
      assert.equal(state?.whole === true, fits.includes(value), JSON.stringify(value));
    }
  });
}

const many = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => make(index));
const nested = (depth: number): unknown => many(depth, () => 0).reduce<unknown>((inner) => [inner], 1);
for (const [what, schema, message] of [
  ['a keyword that no grammar holds', { type: 'integer', multipleOf: 3 }, /^#\/multipleOf is not supported/],
  ['a type named twice', { type: ['string', 'null', 'string'] }, /^#\/type names "string" twice/],
  ['many types', { type: many(200_000, () => 'null') }, /is more than the 50000 values/],
  ['a const nested deeply', { const: nested(5000) }, /^#\/const\/0.* lies deeper than 96/],
  ['a deep annotation', { type: 'null', examples: nested(5000) }, /^#\/examples\/.* lies deeper than 96/],
  ['a const of megabytes', { const: 'x'.repeat(1_900_000) }, /^#\/const is too long/],
  ['a list that leads back to itself', { anyOf: [{ type: 'null' }, { allOf: [{ $ref: '#' }] }] }, /^#\/anyOf\/1\/allOf\/0\/\$ref leads back to #/],
  ['references in a circle', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { anyOf: [{ $ref: '#/$defs/a' }] } } }, /leads back to #\/\$defs\/a/],
  ['what every object has', { $ref: '#/toString' }, /names #\/toString, which is not there/],
  ['an object that holds itself in every case', { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, /^# allows no value that comes to an end/],
  ['conditions that no value keeps', { type: 'string', allOf: [{ minLength: 3 }, { maxLength: 2 }] }, /^# allows no value/],
  ['an empty range', { type: 'integer', exclusiveMinimum: 1, exclusiveMaximum: 2 }, /^# allows no value/],
  ['a bound that is none', { type: 'number', exclusiveMinimum: true }, /^#\/exclusiveMinimum must be a number/],
  ['alternatives of which one value fits two', { oneOf: [{ type: 'string' }, { minLength: 3 }] }, /^#\/oneOf has alternatives that one value could fit both/],
  ['hundreds of ranges', { type: 'object', properties: Object.fromEntries(many(300, (index) => [`p${index}`, { type: 'number', minimum: index }])) }, /^# has more than 200 different ranges/],
  ['too much that must hold at once', { properties: Object.fromEntries(many(900, (index) => [`p${index}`, true])), allOf: many(900, () => ({ minLength: 1 })) }, /too many alternatives that must hold together/],
  ['unique items', { type: 'array', uniqueItems: true }, /^#\/uniqueItems is not supported/],
  ['a chain of references', { $ref: '#/$defs/0', $defs: many(1000, (index) => ({ $ref: `#/$defs/${index + 1}` })) }, /is reached through more than 96 others/],
] as const) {
  test(`refused by name: ${what}`, () => {
    assert.throws(() => jsonSchema(schema), (error: unknown) => error instanceof SchemaError && message.test(error.message) && error.message.length < 400);
  });
}

describe('the work a schema can ask for', () => {
  /** Slices of work for an answer of `room` random tokens, the most for one of them. */
  function work(schema: unknown, room: number): { all: number; most: number } {
    const random = seededRandom('work');
    const constraint = new TokenConstraint(jsonSchema(schema), tokenizer, config);
    let [all, most] = [0, 0];
    for (let left = room; left > 0 && !constraint.over; left--) {
      let slices = 1;
      while (!constraint.prepare(left)) slices++;
      [all, most] = [all + slices, Math.max(most, slices)];
      const logits = Float32Array.from({ length: config.vocab }, () => random());
      // Strings go on: the end of one is the least likely.
      logits[0x22] = -1;
      constraint.mask(logits, left);
      constraint.accept(logits.indexOf(Math.max(...logits)));
    }
    return { all, most };
  }

  test('alternatives that overlap are one, however many they are', () => {
    assert.ok(work({ anyOf: many(300, (index) => ({ type: 'string', maxLength: 101 + index })) }, 64).all <= 66);
    assert.ok(work({ anyOf: many(250, (index) => ({ type: 'array', items: { type: 'string' }, maxItems: 1 + index })) }, 64).all <= 66);
    assert.ok(work({ anyOf: many(600, (index) => ({ type: 'integer', minimum: index, maximum: 2 * index + 1 })) }, 14).all <= 16);
    assert.ok(work({ anyOf: many(200, (index) => ({ type: 'object', properties: { a: { type: 'string', maxLength: 101 + index } }, required: ['a'] })) }, 64).all < 300);
  });

  test('a text of thousands of characters costs what a short one costs', () => {
    assert.ok(work({ type: 'string', maxLength: 4096 }, 512).all < 530);
  });

  test('alternatives that are not told apart are refused above a number, while an answer is written', () => {
    const choices = (count: number, make: (index: number) => object): object[] => many(count, (index) => ({ type: 'object', properties: { a: { type: 'string', maxLength: 500 }, ...make(index) }, required: ['a', 'b'] }));
    assert.ok(work({ anyOf: choices(40, (index) => ({ b: { const: index } })) }, 64).most < 50);
    const ambiguous = { anyOf: choices(100, (index) => ({ a: { anyOf: choices(10, (inner) => ({ b: { const: 100 * inner + index } })) }, b: { const: index } })) };
    assert.throws(() => work(ambiguous, 64), /alternatives that go on alike|simplify its alternatives|parts a schema may have/);
    const recursive = { $ref: '#/$defs/a', $defs: { a: { anyOf: [...many(6, (index) => ({ type: 'object', properties: { n: { $ref: '#/$defs/a' }, v: { const: index } }, required: ['n', 'v'] })), { type: 'string' }] } } };
    const constraint = new TokenConstraint(jsonSchema(recursive), tokenizer, config);
    assert.throws(() => {
      for (const byte of new TextEncoder().encode('{"n":'.repeat(12))) constraint.accept(byte);
    }, SchemaError);
  });
});
