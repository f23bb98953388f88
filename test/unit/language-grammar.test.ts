import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { jsonObject, jsonSchema, oneOf, repeat, Sampler, SchemaError, sequence, startOf, TokenConstraint, type Grammar, type GrammarState } from '../../model/language/index.js';
import { seededRandom } from '../../model/runtime/random.js';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function read(grammar: Grammar, text: string): GrammarState | null {
  let state: GrammarState | null = startOf(grammar);
  for (const byte of bytesOf(text)) state = state?.next(byte) ?? null;
  return state;
}
const fits = (grammar: Grammar, text: string): boolean => read(grammar, text)?.whole === true;

describe('grammars', () => {
  test('a choice is whole at each of its texts, and over where none goes on', () => {
    const grammar = oneOf(['dog', 'dogs', 'cat', 'été']);
    for (const text of ['dog', 'dogs', 'cat', 'été']) assert.ok(fits(grammar, text), text);
    for (const text of ['', 'do', 'dogss', 'cow']) assert.ok(!fits(grammar, text), text);
    assert.equal(read(grammar, 'dog')?.over, false);
    assert.equal(read(grammar, 'dogs')?.over, true);
  });

  test('a repeat counts, also of what may be empty', () => {
    const grammar = repeat(oneOf(['a', '']), 2, 3);
    for (const text of ['', 'a', 'aa', 'aaa']) assert.ok(fits(grammar, text), text);
    assert.ok(!fits(grammar, 'aaaa'));
    assert.ok(fits(sequence(repeat(oneOf(['ab']), 1, Infinity), oneOf(['.'])), 'ababab.'));
  });

  test('come back to a state they were in', () => {
    const go = (state: GrammarState | null, text: string): GrammarState | null => bytesOf(text).reduce<GrammarState | null>((at, byte) => at?.next(byte) ?? null, state);
    const inside = go(startOf(jsonObject), '{"a": "x');
    assert.notEqual(inside, null);
    assert.equal(go(inside, 'yz'), inside);
    assert.equal(go(inside, '", "b": "'), inside);
  });
});

describe('JSON schemas', () => {
  const person = {
    type: 'object',
    properties: { name: { type: 'string', maxLength: 5 }, age: { type: 'integer' }, tags: { type: 'array', items: { enum: ['a', 'b'] }, minItems: 1, maxItems: 2 } },
    required: ['name', 'tags'],
    additionalProperties: false,
  };

  test('hold objects to their properties, in order, the optional ones or not', () => {
    const grammar = jsonSchema(person);
    for (const text of ['{"name": "Zoë", "age": 3, "tags": ["a", "b"]}', '{"name":"","tags":["b"]}']) assert.ok(fits(grammar, text), text);
    for (const text of ['{"name": "Zoë"}', '{"name": "longer", "tags": ["a"]}', '{"tags": ["a"], "name": ""}', '{"name": "", "tags": []}', '{"name": "", "tags": ["c"]}', '{"name": "", "age": 03, "tags": ["a"]}', '{"name": "", "age": 1.5, "tags": ["a"]}']) {
      assert.ok(!fits(grammar, text), text);
    }
    assert.equal(read(grammar, '{"name":"","tags":["b"]}')?.over, true);
  });

  test('with optional properties only allow any of them, and none', () => {
    const grammar = jsonSchema({ properties: { a: { type: 'null' }, b: { type: 'boolean' } } });
    for (const text of ['{}', '{"a": null}', '{"b": true}', '{"a": null, "b": false}']) assert.ok(fits(grammar, text), text);
    for (const text of ['{, "b": true}', '{"a": null,}', '{"a": null "b": true}']) assert.ok(!fits(grammar, text), text);
  });

  test('may name themselves', () => {
    const tree = jsonSchema({ $ref: '#/$defs/Node', $defs: { Node: { type: 'object', properties: { next: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/Node' }] } }, required: ['next'] } } });
    assert.ok(fits(tree, '{"next": {"next": {"next": null}}}'));
    assert.ok(!fits(tree, '{"next": {"next": {}}}'));
  });

  test('any JSON object: what JSON.parse reads, and nothing it does not', () => {
    for (const text of ['{}', '{"a": [1, -2.50, "x\\n\\u00e9 ü", {"b": null}], "c": {}}']) {
      assert.ok(fits(jsonObject, text), text);
      JSON.parse(text);
    }
    for (const text of ['[]', '{"a": 01}', "{'a': 1}", '{"a": 1,}', '{"a": "\n"}', '{"a": "\\x"}']) assert.ok(!fits(jsonObject, text), text);
  });

  for (const [schema, message] of [
    [{ type: 'objekt' }, /^#\/type must be of object/],
    [{ type: 'string', pattern: 'a' }, /^#\/pattern is not supported/],
    [{ type: 'object', properties: { a: 3 } }, /^#\/properties\/a must be a schema/],
    [{ type: 'object', properties: {}, required: ['a'] }, /^#\/required names "a"/],
    [{ type: 'array', minItems: 3, maxItems: 2 }, /^#\/minItems is more than maxItems/],
    [{ type: 'string', maxLength: 1e9 }, /^#\/maxLength must be a whole number/],
    [{ $ref: '#/$defs/None' }, /^#\/\$ref names #\/\$defs\/None, which is not there/],
    [{ $ref: '#' }, /^#\/\$ref leads back to # without a property or an item between/],
    [{ anyOf: [{ $ref: '#' }] }, /^#\/anyOf\/0\/\$ref leads back to #/],
    [{ $ref: '#/$defs/__proto__', $defs: {} }, /^#\/\$ref names #\/\$defs\/__proto__, which is not there/],
    [{ $ref: 'http://x/y' }, /^#\/\$ref must be/],
    [{ enum: [] }, /^#\/enum must be a list/],
    [[], /^# must be a schema/],
  ] as const) {
    test(`refused: ${JSON.stringify(schema)}`, () => {
      assert.throws(() => jsonSchema(schema), (error: unknown) => error instanceof SchemaError && message.test(error.message));
    });
  }

  test('too many parts and too deep ones are refused before they cost memory', () => {
    let deep: object = { type: 'null' };
    for (let i = 0; i < 100; i++) deep = { type: 'array', items: deep };
    assert.throws(() => jsonSchema(deep), /deeper than/);
    assert.throws(() => jsonSchema({ anyOf: Array.from({ length: 1999 }, () => ({ anyOf: [true, true] })) }), /more than the 2000 parts/);
  });
});

/** A vocabulary of single bytes and some longer tokens; the last id ends an answer. */
const tokens = [...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)), ...['"na', 'me":', ' "', '", "', '"}', '{"', 'true', 'ab'].map(bytesOf), Uint8Array.of()];
const tokenizer = { bytes: (id: number) => tokens[id] ?? Uint8Array.of() };
const config = { vocab: tokens.length, eos: tokens.length - 1 };

describe('token masks', () => {
  test('random logits under a mask always write what the grammar says', () => {
    const random = seededRandom('masks');
    const schema = jsonSchema({ type: 'object', properties: { name: { type: 'string', maxLength: 12 }, ok: { type: 'boolean' } }, required: ['name', 'ok'] });
    for (let run = 0; run < 20; run++) {
      const constraint = new TokenConstraint(schema, tokenizer, config);
      const sampler = new Sampler({ temperature: 1, seed: run });
      const written: number[] = [];
      while (!constraint.over) {
        const logits = Float32Array.from({ length: config.vocab }, () => 4 * random());
        constraint.mask(logits);
        const token = sampler.next(logits);
        if (token === config.eos) break;
        constraint.accept(token);
        written.push(...tokenizer.bytes(token));
      }
      const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(written))) as { name: unknown; ok: unknown };
      assert.equal(typeof value.ok, 'boolean');
      assert.ok(typeof value.name === 'string' && [...value.name].length <= 12);
    }
  });

  test('the end may come only where the text is whole, and a token that does not fit is refused', () => {
    const constraint = new TokenConstraint(oneOf(['ab', 'abab']), tokenizer, config);
    const allowed = (): number[] => {
      const logits = new Float32Array(config.vocab);
      constraint.mask(logits);
      return [...logits.keys()].filter((id) => logits[id] === 0);
    };
    const ab = tokens.findIndex((token) => token.length === 2 && token[0] === 0x61 && token[1] === 0x62);
    assert.deepEqual(allowed(), [0x61, ab]);
    constraint.accept(ab);
    assert.deepEqual(allowed(), [0x61, ab, config.eos]);
    assert.throws(() => constraint.accept(0x62), RangeError);
    constraint.accept(ab);
    assert.equal(constraint.over, true);
  });
});

test('a run of tokens that was written is not written again', () => {
  const sampler = new Sampler({ noRepeatNgram: 3 });
  const loop = Array.from({ length: 9 }, (_, i) => sampler.next(Float32Array.from([0, 1, 2].map((id) => (id === i % 3 ? 2 : 0)))));
  assert.deepEqual(loop.slice(0, 5), [0, 1, 2, 0, 1]);
  assert.notEqual(loop[5], 2, 'the run 0 1 2 is there already');
});
