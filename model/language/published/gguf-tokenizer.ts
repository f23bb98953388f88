/** The tokenizer that a GGUF file's metadata describe, as the tokenizer.json that says the same. */
import { GgufError, type GgufFile } from '../../pack/gguf/index.js';
import { PIECE_SPACE } from '../pieces.js';

/** Token types of ggml's vocabulary. */
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;

/** How Llama 3 cuts text before merging: contractions, words, up to three digits, punctuation, line breaks, spaces. */
const LLAMA_3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

type Step = Readonly<Record<string, unknown>>;

const byteLevel = (useRegex: boolean): Step => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: useRegex });
const llama3: Step = { type: 'Sequence', pretokenizers: [{ type: 'Split', pattern: { Regex: LLAMA_3 }, behavior: 'Isolated', invert: false }, byteLevel(false)] };

/** By `tokenizer.ggml.pre`. */
const PRE_TOKENIZERS: Readonly<Record<string, Step>> = {
  'gpt-2': byteLevel(true),
  smollm: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevel(true)] },
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
};

/**
 * @returns the text of a tokenizer.json, or null when the metadata hold a kind that is not known here: then a tokenizer.json beside the
 *   file is needed
 * @throws GgufError when the entries do not fit each other
 */
export function ggufTokenizer(gguf: GgufFile): string | null {
  const { metadata, file } = gguf;
  const strings = (key: string): readonly string[] => {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    if (Array.isArray(value) && value.every((entry) => typeof entry === 'string')) return value as string[];
    throw new GgufError(`${file}: tokenizer.ggml.${key} is not a list of strings`);
  };
  const numbers = (key: string, count: number): readonly number[] | null => {
    const value = metadata.get(`tokenizer.ggml.${key}`);
    if (value === undefined) return null;
    if (Array.isArray(value) && value.length === count && value.every((entry) => typeof entry === 'number')) return value as number[];
    throw new GgufError(`${file}: tokenizer.ggml.${key} is not a list of ${count} numbers, one for each token`);
  };
  const model = metadata.get('tokenizer.ggml.model');
  const pre = metadata.get('tokenizer.ggml.pre') ?? 'gpt-2';
  const known = model === 'llama' || (model === 'gpt2' && typeof pre === 'string' && Object.hasOwn(PRE_TOKENIZERS, pre));
  if (!known) return null;

  const tokens = strings('tokens');
  const vocab = new Map(tokens.map((token, id) => [token, id]));
  const types = numbers('token_type', tokens.length) ?? [];
  const added = tokens.flatMap((content, id) => {
    const type = types[id];
    if (type !== CONTROL && type !== USER_DEFINED && type !== UNKNOWN) return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: type !== USER_DEFINED }];
  });
  const shared = { dropout: null, continuing_subword_prefix: null, end_of_word_suffix: null, vocab: Object.fromEntries(vocab) };
  const whole = (parts: Step): string => JSON.stringify({ version: '1.0', truncation: null, padding: null, added_tokens: added, normalizer: null, post_processor: null, ...parts });

  if (model === 'gpt2') {
    return whole({
      pre_tokenizer: PRE_TOKENIZERS[pre as string],
      decoder: byteLevel(true),
      model: { type: 'BPE', ...shared, unk_token: null, fuse_unk: false, byte_fallback: false, merges: strings('merges') },
    });
  }
  const scores = numbers('scores', tokens.length);
  if (scores === null) throw new GgufError(`${file}: tokenizer.ggml.scores is missing, without which pieces cannot be merged`);
  const space = { type: 'Replace', pattern: { String: ' ' }, content: PIECE_SPACE };
  const prefixed = metadata.get('tokenizer.ggml.add_space_prefix') !== false;
  return whole({
    normalizer: { type: 'Sequence', normalizers: prefixed ? [{ type: 'Prepend', prepend: PIECE_SPACE }, space] : [space] },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: PIECE_SPACE }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      ...shared,
      unk_token: tokens[types.indexOf(UNKNOWN)] ?? null,
      fuse_unk: true,
      byte_fallback: true,
      merges: pieceMerges(tokens, vocab, scores, new Set(added.map(({ id }) => id))),
    },
  });
}

/**
 * Sentencepiece merges the neighbours whose piece has the best score; as merges in order that is every way to cut a piece into two, best
 * pieces first.
 */
function pieceMerges(tokens: readonly string[], vocab: ReadonlyMap<string, number>, scores: readonly number[], special: ReadonlySet<number>): [string, string][] {
  const merges: { score: number; left: number; right: number }[] = [];
  for (const [id, token] of tokens.entries()) {
    if (special.has(id) || /^<0x[0-9A-F]{2}>$/.test(token)) continue;
    for (let cut = 1; cut < token.length; cut++) {
      const [left, right] = [vocab.get(token.slice(0, cut)), vocab.get(token.slice(cut))];
      if (left !== undefined && right !== undefined) merges.push({ score: scores[id] as number, left, right });
    }
  }
  merges.sort((a, b) => b.score - a.score || a.left - b.left || a.right - b.right);
  return merges.map(({ left, right }) => [tokens[left] as string, tokens[right] as string]);
}
