import { TextTokenizer } from '../../model/language/index.js';

/**
 * A real tokenizer without merges: one token a UTF-8 byte, its id the byte's value, and ChatML's special tokens after them.
 * Small enough to write down, so that expected ids can be read off the text.
 */
export function byteTokenizer(): TextTokenizer {
  const vocab: Record<string, number> = {};
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    vocab[String.fromCodePoint(printable ? byte : next++)] = byte;
  }
  const special = ['<|im_start|>', '<|im_end|>'].map((content, i) => ({
    id: 256 + i, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
  }));
  return new TextTokenizer(
    JSON.stringify({
      version: '1.0',
      added_tokens: special,
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: null,
      decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      model: { type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, vocab, merges: [] },
    }),
  );
}

/** ChatML, as the default pack's template writes it. */
export const CHATML =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
