/** Text to token ids and back. */
import { Tokenizer } from '@huggingface/tokenizers';
import { byteOfCharacter } from './byte-level.js';
import { PIECE_SPACE, usesPieces } from './pieces.js';

/** What is used of the library, whose own declarations name files that it does not ship. */
interface Library {
  encode(text: string, options: { readonly add_special_tokens: boolean }): { readonly ids: number[] };
  get_added_tokens_decoder(): ReadonlyMap<number, { readonly content: string }>;
  get_vocab(withAdded: boolean): ReadonlyMap<string, number>;
  id_to_token(id: number): string | undefined;
  token_to_id(token: string): number | undefined;
}

export class TextTokenizer {
  private readonly tokenizer: Library;
  private readonly special: ReadonlyMap<number, string>;
  /** Sentencepiece's way to write tokens, as Llama 2 and Vicuna have it; otherwise byte-level BPE. */
  readonly pieces: boolean;

  /**
   * @param json the text of a tokenizer.json: a byte-level BPE, or one of sentencepiece's pieces with byte fallback
   * @throws Error when it is not one
   */
  constructor(json: string) {
    const config: unknown = JSON.parse(json);
    if (typeof config !== 'object' || config === null || !('model' in config)) throw new Error('tokenizer.json holds no tokenizer: its "model" is missing');
    this.pieces = usesPieces(config);
    this.tokenizer = new (Tokenizer as unknown as new (json: object, options: object) => Library)(config, { clean_up_tokenization_spaces: false });
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

  /** The id of a token by its exact text, or null. */
  idOf(token: string): number | null {
    return this.tokenizer.token_to_id(token) ?? null;
  }

  /** A token's text as the vocabulary has it, or null. */
  tokenOf(id: number): string | null {
    return this.tokenizer.id_to_token(id) ?? null;
  }

  /** One more than the greatest id. */
  get size(): number {
    let most = -1;
    for (const id of this.tokenizer.get_vocab(true).values()) if (id > most) most = id;
    return most + 1;
  }

  /** The UTF-8 bytes a token stands for; none for special tokens and unknown ids. A character may span several tokens. */
  bytes(id: number): Uint8Array {
    const token = this.special.has(id) ? undefined : this.tokenizer.id_to_token(id);
    if (token === undefined) return new Uint8Array();
    if (!this.pieces) return Uint8Array.from([...token], byteOfCharacter);
    const byte = /^<0x([0-9A-F]{2})>$/.exec(token)?.[1];
    return byte === undefined ? UTF8.encode(token.replaceAll(PIECE_SPACE, ' ')) : Uint8Array.of(parseInt(byte, 16));
  }

  /** Whole text of `ids`, special tokens left out. */
  decode(ids: readonly number[]): string {
    const stream = new TextStream(this);
    return ids.map((id) => stream.push(id)).join('');
  }
}

const UTF8 = new TextEncoder();

/** Turns tokens into text as they come. What it returns is always whole characters; half a character at the end is never shown. */
export class TextStream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  /** Pieces begin a text with a space that is not part of it. */
  private atStart: boolean;

  constructor(private readonly tokenizer: Pick<TextTokenizer, 'bytes' | 'pieces'>) {
    this.atStart = tokenizer.pieces;
  }

  /** The text that `id` completes: often a word, sometimes nothing yet. Bytes that can never be UTF-8 become U+FFFD. */
  push(id: number): string {
    const text = this.decoder.decode(this.tokenizer.bytes(id), { stream: true });
    if (!this.atStart || text === '') return text;
    this.atStart = false;
    return text.startsWith(' ') ? text.slice(1) : text;
  }
}
