/** Tokenizers and chat templates of published models: ids as the tokenizers library and sentencepiece give them. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ChatTemplate, TextTokenizer } from '../../model/language/index.js';
import { ggufTokenizer } from '../../model/language/published/gguf-tokenizer.js';
import { readGguf, type GgufFile } from '../../model/pack/gguf/index.js';
import { memoryBytes } from '../../model/pack/index.js';
import { fixture } from '../helpers/fixtures.js';

type Texts = { readonly text: string; readonly ids: number[]; readonly decoded: string }[];

const folder = fixture('language/published');
const { tokenizers } = JSON.parse(await readFile(`${folder}/expected.json`, 'utf8')) as { tokenizers: Record<'smollm' | 'vicuna', Texts> };

async function gguf(name: string): Promise<GgufFile> {
  return readGguf(memoryBytes(await readFile(`${folder}/${name}`)), name);
}

function check(tokenizer: TextTokenizer, texts: Texts): void {
  for (const { text, ids, decoded } of texts) {
    assert.deepEqual(tokenizer.encode(text), ids, JSON.stringify(text));
    assert.equal(tokenizer.decode(ids), decoded);
  }
}

for (const name of ['smollm', 'vicuna'] as const) {
  test(`${name}'s tokenizer.json: ids and text are those of the tokenizers library`, async () => {
    check(new TextTokenizer(await readFile(`${folder}/${name}/tokenizer.json`, 'utf8')), tokenizers[name]);
  });
}

for (const [file, name] of [['q8_0.gguf', 'smollm'], ['q4_0.gguf', 'vicuna']] as const) {
  test(`${file}: the tokenizer of its metadata gives the ids of the tokenizer it was made from`, async () => {
    const json = ggufTokenizer(await gguf(file));
    assert.ok(json !== null);
    const tokenizer = new TextTokenizer(json);
    check(tokenizer, tokenizers[name]);
    assert.equal(tokenizer.size, name === 'smollm' ? 320 : 350);
    assert.equal(tokenizer.pieces, name === 'vicuna');
  });
}

test('a GGUF file of an unknown kind of tokenizer gives none, one whose lists do not fit is refused', async () => {
  const file = await gguf('q4_0.gguf');
  const changed = (key: string, value: string | readonly number[]): GgufFile => ({ ...file, metadata: new Map([...file.metadata, [`tokenizer.ggml.${key}`, value]]) });
  assert.equal(ggufTokenizer(changed('model', 'bert')), null);
  assert.equal(ggufTokenizer({ ...changed('model', 'gpt2'), metadata: new Map([...changed('model', 'gpt2').metadata, ['tokenizer.ggml.pre', 'other']]) }), null);
  assert.throws(() => ggufTokenizer(changed('scores', [1, 2])), /q4_0\.gguf: tokenizer\.ggml\.scores is not a list of 350 numbers/);
});

test('a tokenizer.json of another kind is refused by name', () => {
  assert.throws(() => new TextTokenizer('{"model":{"type":"WordPiece","vocab":{}}}'), /is a WordPiece model/);
  assert.throws(() => new TextTokenizer('{"model":{"type":"BPE","vocab":{},"merges":[]}}'), /neither a byte-level BPE nor one of pieces/);
});

test('templates get the tokens they name, and content as parts where they look for parts', () => {
  const messages = [{ role: 'user' as const, content: 'Hello' }];
  const named = new ChatTemplate('{{ bos_token }}[INST] {{ messages[0].content }} [/INST]{{ eos_token }}', { bos: '<s>', eos: '</s>' });
  assert.equal(named.render(messages), '<s>[INST] Hello [/INST]</s>');
  const parts = new ChatTemplate(
    "{% for m in messages %}{{ m.role | capitalize }}:{% for p in m.content %}{% if p.type == 'text' %} {{ p.text }}{% endif %}{% endfor %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}",
  );
  assert.equal(parts.render(messages), 'User: Hello\nAssistant:');
});
