/** Text to token ids and back. */
import { Tokenizer } from '@huggingface/tokenizers';
import { byteOfCharacter } from './byte-level.js';

export class TextTokenizer {
  private readonly tokenizer: Tokenizer;
  private readonly special: ReadonlyMap<number, string>;

  /**
   * @param json the text of a tokenizer.json (a byte-level BPE)
   * @throws Error when it is not one
   */
  constructor(json: string) {
    const config: unknown = JSON.parse(json);
    if (typeof config !== 'object' || config === null || !('model' in config)) throw new Error('tokenizer.json holds no tokenizer: its "model" is missing');
    this.tokenizer = new Tokenizer(config, { clean_up_tokenization_spaces: false });
    this.special = new Map([...this.tokenizer.get_added_tokens_decoder()].map(([id, token]) => [id, token.content]));
  }

  /** Ids of `text`; special tokens such as `<|im_end|>` in it become single ids (see `neutralize`). */
  encode(text: string): number[] {
    return text === '' ? [] : this.tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /** `text` so changed that none of it is read as a special token: a user's words can never end the user's turn. */
  neutralize(text: string): string {
    let safe = text;
    for (const token of this.special.values()) safe = safe.replaceAll(token, `${token.slice(0, 1)} ${token.slice(1)}`);
    return safe;
  }

  isSpecial(id: number): boolean {
    return this.special.has(id);
  }

  /** The UTF-8 bytes a token stands for; none for special tokens and unknown ids. A character may span several tokens. */
  bytes(id: number): Uint8Array {
    const token = this.special.has(id) ? undefined : this.tokenizer.id_to_token(id);
    return Uint8Array.from([...(token ?? '')], byteOfCharacter);
  }

  /** Whole text of `ids`, special tokens left out. */
  decode(ids: readonly number[]): string {
    const stream = new TextStream(this);
    return ids.map((id) => stream.push(id)).join('');
  }
}

/** Turns tokens into text as they come. What it returns is always whole characters; half a character at the end is never shown. */
export class TextStream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(private readonly tokenizer: Pick<TextTokenizer, 'bytes'>) {}

  /** The text that `id` completes: often a word, sometimes nothing yet. Bytes that can never be UTF-8 become U+FFFD. */
  push(id: number): string {
    return this.decoder.decode(this.tokenizer.bytes(id), { stream: true });
  }
}
