/** Every field of OpenAI's chat completions and of its messages: taken where it changes nothing, refused by its name where it would be disobeyed. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startServer, type RunningServer } from '../../server/index.js';
import { errorOf } from '../helpers/api.js';
import { TestFolder } from '../helpers/folder.js';

let folder: TestFolder;
let server: RunningServer;

before(async () => {
  folder = await TestFolder.make();
  // Without a model: what is taken gets as far as to be told that.
  server = await startServer({ port: 0, dataDir: path.join(folder.path, 'data'), packDir: path.join(folder.path, 'no-pack'), logLevel: 'silent' });
});
after(async () => {
  await server.close();
  await folder.remove();
});

const hi = [{ role: 'user', content: 'Hi' }];

type Told = Awaited<ReturnType<typeof errorOf>>;

async function post(place: string, body: object): Promise<Told> {
  return errorOf(await fetch(server.url + place, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }));
}
const ask = (body: object): Promise<Told> => post('/v1/chat/completions', { messages: hi, ...body });
const respond = (body: object): Promise<Told> => post('/v1/responses', { input: 'Hi', ...body });
const embed = (body: object): Promise<Told> => post('/v1/embeddings', { input: 'a dog', ...body });

async function assertTaken(body: object, by = ask): Promise<void> {
  const { code, message } = await by(body);
  assert.ok(code === 'model_unavailable' || code === 'model_loading', `${JSON.stringify(body)}: ${message}`);
}

/** Field, values that are taken, values that are refused. */
const fields: readonly (readonly [string, readonly unknown[], readonly unknown[]])[] = [
  ['user', ['someone', ''], []],
  ['safety_identifier', ['someone'], []],
  ['metadata', [{}, { topic: 'films' }], []],
  ['store', [false, true], []],
  ['service_tier', ['auto', 'default', 'flex', 'priority'], []],
  ['prompt_cache_key', ['mine'], []],
  ['prompt_cache_retention', ['in_memory', '24h'], []],
  ['prompt_cache_options', [{ mode: 'auto' }], []],
  ['parallel_tool_calls', [true, false], []],
  ['reasoning_effort', ['none', 'minimal', 'low', 'medium', 'high'], []],
  ['verbosity', ['low', 'medium', 'high'], []],
  ['prediction', [{ type: 'content', content: 'A dog.' }], []],
  ['frequency_penalty', [0, 0.5, -2, 2], []],
  ['presence_penalty', [0, 0.5, -2, 2], []],
  ['seed', [0, 1, -1, 2 ** 52], []],
  ['top_p', [1, 0.5, 0], []],
  ['temperature', [0, 1, 2], []],
  ['stop', ['.', [], ['.'], ['a', 'b', 'c', 'd']], []],
  ['stream_options', [{}, { include_usage: false }, { include_obfuscation: false }], []],
  ['max_tokens', [1, 512], []],
  ['max_completion_tokens', [1, 512], []],
  ['response_format', [{ type: 'text' }, { type: 'json_object' }], []],
  ['n', [1], []],
  ['tools', [[]], [[{ type: 'function', function: { name: 'look', parameters: {} } }]]],
  ['tool_choice', ['none', 'auto'], ['required', { type: 'function', function: { name: 'look' } }]],
  ['functions', [[]], [[{ name: 'look' }]]],
  ['function_call', ['none', 'auto'], [{ name: 'look' }]],
  ['modalities', [['text'], []], [['audio'], ['text', 'audio']]],
  ['audio', [], [{ voice: 'alloy', format: 'mp3' }]],
  ['logprobs', [false], [true]],
  ['top_logprobs', [0], [5]],
  ['logit_bias', [{}, { 1734: 0 }], [{ 1734: -100 }]],
  ['web_search_options', [], [{}]],
  ['moderation', [], [{ model: 'omni-moderation-latest' }]],
];

test('the table has every field of the package openai but those that every request must have', () => {
  assert.equal(fields.length, 34);
  assert.equal(new Set(fields.map(([name]) => name)).size, fields.length);
});

for (const [name, taken, refused] of fields) {
  test(`${name}: null is as if it was left out, what changes nothing is taken${refused.length > 0 ? ', the rest is refused by its name' : ''}`, async () => {
    for (const value of [null, ...taken]) await assertTaken({ [name]: value });
    for (const value of refused) await assertRefused(name, value);
  });
}

async function assertRefused(name: string, value: unknown, by = ask): Promise<void> {
  const { status, code, param, message } = await by({ [name]: value });
  assert.deepEqual([status, code, param], [400, 'unsupported_parameter', name], message);
  assert.match(message, new RegExp(`^The field "${name}" .*[.]$`));
}

/** As above, of responses and embeddings; what chat completions have too is taken by the same table. */
const responseFields: typeof fields = [
  ['reasoning', [{ effort: 'low', summary: null }], []],
  ['truncation', ['auto', 'disabled'], []],
  ['max_tool_calls', [3], []],
  ['include', [[], ['reasoning.encrypted_content']], [['message.output_text.logprobs']]],
  ['background', [false], [true]],
  ['store', [true, false], []],
  ['text', [{ format: { type: 'text' }, verbosity: 'low' }, { format: { type: 'json_schema', name: 'x', schema: { type: 'object', properties: {} }, strict: true } }], []],
  ['stream_options', [{ include_obfuscation: false }], []],
  ['max_output_tokens', [16], []],
  ['top_p', [0, 1], []],
  ['metadata', [{ topic: 'films' }], []],
  ['parallel_tool_calls', [true], []],
  ['tool_choice', ['auto', 'none'], ['required']],
  ['tools', [[]], [[{ type: 'web_search' }]]],
  ['previous_response_id', [], ['resp_1']],
  ['conversation', [], ['conv_1', { id: 'conv_1' }]],
  ['prompt', [], [{ id: 'pmpt_1' }]],
  ['context_management', [[]], [[{ type: 'compaction' }]]],
];
for (const [name, taken, refused] of responseFields) {
  test(`of a response ${name}: null, what changes nothing, and what would be disobeyed`, async () => {
    for (const value of [null, ...taken]) await assertTaken({ [name]: value }, respond);
    for (const value of refused) await assertRefused(name, value, respond);
  });
}

test('of embeddings user and encoding_format are taken, dimensions refused by name', async () => {
  for (const body of [{ user: 'someone' }, { encoding_format: 'base64' }, { dimensions: null }, { input: ['a dog', 'a cat'] }]) await assertTaken(body, embed);
  await assertRefused('dimensions', 64, embed);
});

test('a field that nobody knows is refused by its name, and passed over where it is null', async () => {
  await assertTaken({ top_k: null });
  const { code, param, message } = await ask({ top_k: 40 });
  assert.deepEqual([code, param, message], ['unsupported_parameter', 'top_k', 'The field "top_k" is not supported.']);
});

const histories: readonly (readonly [string, object])[] = [
  ['as OpenAI gives it', { role: 'assistant', content: 'Hello.', refusal: null, annotations: [] }],
  ['as this server gives it', { role: 'assistant', content: 'From 1.0 s: a dog.', refusal: null, annotations: [{ type: 'moment', video: 'vid_1', start_s: 1, end_s: 2 }], confidence: 0.8 }],
  ['with everything null', { role: 'assistant', content: 'Hello.', refusal: null, annotations: null, audio: null, function_call: null, tool_calls: null, name: null }],
  ['with no tool calls', { role: 'assistant', content: 'Hello.', tool_calls: [] }],
  ['as zod parsed it', { role: 'assistant', content: '{"a":1}', refusal: null, parsed: { a: 1 } }],
  ['with the reasoning of another server', { role: 'assistant', content: 'Hello.', reasoning_content: 'Let me think.', provider_specific_fields: { refusal: null } }],
  ['without content', { role: 'assistant', content: null }],
  ['refused, without content', { role: 'assistant', content: null, refusal: 'No.' }],
  ['in parts', { role: 'assistant', content: [{ type: 'text', text: 'Hello.' }, { type: 'refusal', refusal: 'No.' }] }],
  ['by a name', { role: 'assistant', content: 'Hello.', name: 'helper' }],
  ['as a response has it', { role: 'assistant', content: [{ type: 'output_text', text: 'Hello.', annotations: [], logprobs: [], confidence: null }] }],
];
for (const [name, answer] of histories) {
  test(`an answer ${name} may be sent back`, () => assertTaken({ messages: [...hi, answer, ...hi] }));
}

test('system and developer messages may be in parts, and every message may have a name', async () => {
  for (const role of ['system', 'developer']) {
    await assertTaken({ messages: [{ role, content: [{ type: 'text', text: 'Be brief.' }] }, { role: 'user', name: 'someone', content: [{ type: 'text', text: 'Hi', cache_control: { type: 'ephemeral' } }] }] });
  }
});

const part = (value: object) => ({ messages: [{ role: 'user', content: [{ type: 'text', text: 'What is it?' }, value] }] });
const message = (value: object) => ({ messages: [...hi, value, ...hi] });
const place = 'messages[0].content[1]';
/** What is wrong, the request, the field, and the sentence. */
const plain: readonly (readonly [string, object, string, RegExp])[] = [
  ['two choices', { n: 2 }, 'n', /"n" is 2; it must be 1\./],
  ['five stop strings', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', /"stop" has 5 entries; at most 4 are allowed/],
  ['an empty stop string', { stop: [''] }, 'stop[0]', /is an empty text/],
  ['a temperature above 2', { temperature: 3 }, 'temperature', /is 3; it must be from 0 to 2/],
  ['a number as text', { max_tokens: '5' }, 'max_tokens', /is "5"; it must be a whole number/],
  ['another format', { response_format: { type: 'yaml' } }, 'response_format', /is of type "yaml"; it must be one of text, json_object, json_schema, choice/],
  ['messages that are no list', { messages: 'Hi' }, 'messages', /is "Hi"; it must be a list/],
  ['no messages', { messages: [] }, 'messages', /is empty/],
  ['a message of nobody', message({ content: 'Hi' }), 'messages[1].role', /is missing/],
  ['a tool\'s result', message({ role: 'tool', tool_call_id: 'a', content: '5' }), 'messages[1]', /is of role "tool"; it must be one of system, developer, user, assistant/],
  ['a call of a tool', message({ role: 'assistant', content: null, tool_calls: [{ id: 'a', type: 'function', function: { name: 'x', arguments: '{}' } }] }), 'messages[1].tool_calls', /calls no tools/],
  ['a question without content', message({ role: 'user' }), 'messages[1].content', /is missing/],
  ['content that is a number', message({ role: 'user', content: 5 }), 'messages[1].content', /is 5; it must be a text or a list/],
  ['sound', part({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }), place, /is of type "input_audio"; it must be one of text, .*video_url, input_video, image_url, input_image/],
  ['a document', part({ type: 'file', file: { file_id: 'file-1' } }), place, /is of type "file"; it must be one of/],
  ['a part without a type', part({ text: 'Hi' }), `${place}.type`, /is missing/],
  ['a part without its field', part({ type: 'video_url', image_url: { url: 'video://x' } }), `${place}.image_url`, /is not supported/],
  ['an address that is a number', part({ type: 'video_url', video_url: 5 }), `${place}.video_url`, /is 5; it must be a text or an object/],
  ['an address without url', part({ type: 'image_url', image_url: { detail: 'low' } }), `${place}.image_url.url`, /is missing/],
  ['a video part that names none', part({ type: 'input_video' }), `${place}.input_video`, /names no video/],
  ['a video part that names two', part({ type: 'input_video', input_video: { url: 'video://a', data: 'AAAA' } }), `${place}.input_video.url`, /names two videos/],
  ['a video in a system message', { messages: [{ role: 'system', content: [{ type: 'video_url', video_url: { url: 'video://a' } }] }, ...hi] }, 'messages[0].content[0]', /Only a message of the user/],
  ['an answer that was begun', { messages: [...hi, { role: 'assistant', content: 'The' }] }, 'messages[1].role', /is not gone on with/],
];
for (const [name, body, field, sentence] of plain) {
  test(`${name}: refused in plain words that name the field`, async () => {
    const { status, param, message: told } = await ask(body);
    assert.deepEqual([status, param], [400, field], told);
    assert.match(told, sentence);
    assert.doesNotMatch(told, /anyOf|const\b|undefined/);
  });
}

for (const [name, by, body, code, field, sentence] of [
  ['a response to instructions alone', respond, { input: [{ type: 'reasoning', summary: [] }], instructions: 'Be brief.' }, 'empty_question', 'input', /no text/],
  ['a response to a tool\'s result', respond, { input: [{ type: 'function_call_output', call_id: 'a', output: '5' }] }, 'invalid_request', 'input[0]', /is of type "function_call_output"; it must be one of message, reasoning/],
  ['a response to a file', respond, { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'a' }] }] }, 'invalid_request', 'input[0].content[0]', /is of type "input_file"; it must be one of/],
  ['a response to a file of theirs', respond, { input: [{ role: 'user', content: [{ type: 'input_image', file_id: 'a' }] }] }, 'unsupported_parameter', 'input[0].content[0].file_id', /is not supported/],
  ['a response to nothing', respond, { input: ' ' }, 'empty_question', 'input', /no text/],
  ['a response in a schema that cannot be held', respond, { text: { format: { type: 'json_schema', name: 'x', schema: { type: 'object', properties: { a: { type: 'string', pattern: '^a' } } } } } }, 'invalid_schema', 'text.format.schema', /pattern/],
  ['embeddings of tokens', embed, { input: [1, 2, 3] }, 'invalid_request', 'input[0]', /is 1; it must be a text/],
  ['embeddings of lists of tokens', embed, { input: [[1, 2, 3]] }, 'invalid_request', 'input[0]', /is a list; it must be a text/],
  ['embeddings of nothing', embed, { input: ['a dog', ''] }, 'empty_question', 'input[1]', /has no words/],
  ['embeddings of no video', embed, { input: ['video://vid_0123456789abcdef01234567'] }, 'video_not_found', 'input[0]', /There is no video/],
] as const) {
  test(`${name}: refused in plain words that name the field`, async () => {
    const { code: told, param, message: words } = await by(body);
    assert.deepEqual([told, param], [code, field], words);
    assert.match(words, sentence);
  });
}

test('every way to name a video names its field where there is none', async () => {
  const nobody = 'video://vid_0123456789abcdef01234567';
  for (const [value, field] of [
    [{ type: 'video_url', video_url: { url: nobody } }, 'video_url.url'],
    [{ type: 'video_url', video_url: nobody }, 'video_url'],
    [{ type: 'image_url', image_url: { url: nobody, detail: 'auto' } }, 'image_url.url'],
    [{ type: 'input_image', image_url: nobody, detail: 'low', file_id: null }, 'image_url'],
    [{ type: 'input_video', input_video: { url: nobody } }, 'input_video.url'],
    [{ type: 'input_video', url: nobody }, 'url'],
    [{ type: 'input_video', video_url: nobody }, 'video_url'],
    [{ type: 'input_video', video: nobody }, 'video'],
    [{ type: 'input_video', video_id: nobody.replace('video://', '') }, 'video_id'],
  ] as const) {
    const { code, param, message: told } = await ask(part(value));
    assert.deepEqual([code, param], ['video_not_found', `${place}.${field}`], told);
  }
  for (const [value, field] of [
    [{ type: 'input_video', input_video: { data: '!', format: 'mp4' } }, 'input_video.data'],
    [{ type: 'input_video', data: '!' }, 'data'],
  ] as const) {
    const { code, param } = await ask(part(value));
    assert.deepEqual([code, param], ['invalid_data_url', `${place}.${field}`]);
  }
});
