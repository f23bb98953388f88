/**
 * Sentencepiece's pieces as a tokenizer.json has them since Llama 2: spaces are U+2581, a text begins with one, and bytes that no piece has
 * are the tokens <0x00> to <0xFF>.
 */
export const PIECE_SPACE = '\u2581';

type Json = Readonly<Record<string, unknown>>;

/**
 * Whether a tokenizer.json writes its tokens as pieces (true) or as byte-level BPE (false).
 * @throws Error when it does neither: then what a token stands for is not known
 */
export function usesPieces(config: object): boolean {
  const { model, pre_tokenizer: pre, decoder } = config as { model?: Json; pre_tokenizer?: unknown; decoder?: unknown };
  if (model?.['type'] !== undefined && model['type'] !== 'BPE') throw new Error(`tokenizer.json is a ${String(model['type'])} model; only BPE is known`);
  if (stepsOf(pre).includes('ByteLevel') || stepsOf(decoder).includes('ByteLevel')) return false;
  if (stepsOf(decoder).includes('ByteFallback')) return true;
  throw new Error('tokenizer.json is neither a byte-level BPE nor one of pieces with byte fallback');
}

/** The types of a step, or of those a sequence is made of. */
function stepsOf(step: unknown): string[] {
  if (typeof step !== 'object' || step === null) return [];
  const { type, pretokenizers, decoders } = step as Json;
  const inner = pretokenizers ?? decoders;
  return [String(type), ...(Array.isArray(inner) ? inner.flatMap(stepsOf) : [])];
}
