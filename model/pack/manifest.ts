/** pack.json: what a model pack holds, how large its networks are, and where everything came from. */
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';

const Size = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const FileEntry = Type.Object({ sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }), bytes: Type.Integer({ minimum: 0 }) });

const VisionBlock = Type.Object({ kernel: Size, stride: Size, in: Size, out: Size, expand: Size });

const Vision = Type.Object({
  architecture: Type.Literal('efficientnet-lite2'),
  /** Side of the square input in pixels. */
  size: Size,
  /** A pixel x of 0..255 enters the tower as (x - mean) / std. */
  mean: Type.Number(),
  std: Type.Number({ exclusiveMinimum: 0 }),
  resize: Type.Optional(Type.String()),
  activation: Type.Optional(Type.String()),
  padding: Type.String(),
  eps: Type.Number(),
  stem: Type.Optional(Type.Object({ kernel: Size, stride: Size, out: Size })),
  head: Type.Optional(Type.Object({ out: Size })),
  blocks: Type.Array(VisionBlock, { minItems: 1 }),
});

const Language = Type.Object({
  architecture: Type.Literal('llama'),
  layers: Size,
  hidden: Size,
  heads: Size,
  kv_heads: Size,
  head_dim: Size,
  intermediate: Size,
  vocab: Size,
  rope_theta: Type.Number({ exclusiveMinimum: 0 }),
  rms_eps: Type.Number({ exclusiveMinimum: 0 }),
  /** Positions the model was trained for, in tokens. */
  context: Size,
  bos: Type.Integer({ minimum: 0 }),
  eos: Type.Integer({ minimum: 0 }),
  /** The output head is the embedding matrix. */
  tied: Type.Boolean(),
});

const Prompt = Type.Object({
  system: Type.String(),
  photo_before: Type.String(),
  photo_after: Type.String(),
  /** `{n}` stands for the number of frames shown. */
  video_before: Type.String(),
  /** `{t}` stands for the frame's time in seconds, one decimal. */
  frame_before: Type.String(),
  frame_after: Type.String(),
  max_frames: Size,
  default_question: Type.String(),
});

const Layers = Type.Array(Type.Integer({ minimum: 0, maximum: 1000 }), { maxItems: 16 });

/** The towers that put texts and latents into one space; a pack without them can be asked but not searched. */
const Retrieval = Type.Object({
  /** Numbers of a vector. */
  dim: Size,
  /** Networks side by side in each tower, whose cosines are averaged. */
  members: Size,
  /** Layers of the language model, counted from 1 (0: the embeddings), whose states are averaged over a text, and of whose last token they are taken. */
  text: Type.Object({ mean: Layers, last: Layers, hidden: Size }),
  latent: Type.Object({ hidden: Size }),
  /** A frame counts as what a text tells of from this many standard deviations above the cosines that photos of all kinds have with the text. */
  match: Type.Number({ minimum: 0, maximum: 100 }),
});

const Manifest = Type.Object({
  format: Type.Literal(1),
  id: Type.String({ minLength: 1, maxLength: 200 }),
  /** Latents are comparable, and may be asked about, only within one feature space. */
  feature_space: Type.String({ minLength: 1, maxLength: 200 }),
  files: Type.Record(Type.String(), FileEntry),
  licences: Type.Array(Type.Unknown()),
  sources: Type.Array(Type.Unknown()),
  vision: Vision,
  /** Numbers a frame, and the language-model tokens they unfold to. */
  latent: Type.Object({ dim: Size, tokens: Size }),
  language: Language,
  adapter: Type.Optional(Type.Object({ rank: Size })),
  projector: Type.Object({ hidden: Size }),
  retrieval: Type.Optional(Retrieval),
  prompt: Prompt,
  measured: Type.Optional(Type.Unknown()),
});

export type PackManifest = Static<typeof Manifest>;
export type LanguageConfig = Static<typeof Language>;
export type VisionConfig = Static<typeof Vision>;
export type PromptConfig = Static<typeof Prompt>;
export type RetrievalConfig = Static<typeof Retrieval>;

/** Raised for a pack that is damaged, incomplete or of another kind. The message names the file and the field. */
export class PackError extends Error {
  override readonly name = 'PackError';
}

/**
 * Checks the text of a pack.json.
 * @param file its path, for messages
 * @throws PackError naming the first field that is wrong
 */
export function parseManifest(text: string, file: string): PackManifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new PackError(`${file} is not JSON`);
  }
  if (!Value.Check(Manifest, json)) {
    const first = Value.Errors(Manifest, json)[0];
    const field = first === undefined || first.instancePath === '' ? 'the whole' : first.instancePath.slice(1).replaceAll('/', '.');
    throw new PackError(`${file}: ${field} ${first?.message ?? 'does not fit the format'}`);
  }
  for (const name of Object.keys(json.files)) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
      throw new PackError(`${file}: files names "${name}"; a pack's files lie in its own folder and have plain names`);
    }
  }
  const { heads, kv_heads, head_dim, hidden } = json.language;
  if (heads % kv_heads !== 0) throw new PackError(`${file}: language.heads ${heads} is not a multiple of language.kv_heads ${kv_heads}`);
  if (head_dim % 2 !== 0) throw new PackError(`${file}: language.head_dim ${head_dim} is odd; rotary positions need pairs`);
  const { retrieval } = json;
  if (retrieval !== undefined) {
    const deepest = Math.max(0, ...retrieval.text.mean, ...retrieval.text.last);
    if (retrieval.text.mean.length + retrieval.text.last.length === 0) throw new PackError(`${file}: retrieval.text names no layer`);
    if (deepest > json.language.layers) throw new PackError(`${file}: retrieval.text names layer ${deepest} of ${json.language.layers}`);
    if (retrieval.dim % retrieval.members !== 0) throw new PackError(`${file}: retrieval.dim ${retrieval.dim} is not a multiple of retrieval.members ${retrieval.members}`);
  }
  if (hidden % 32 !== 0) throw new PackError(`${file}: language.hidden ${hidden} is not a multiple of the 32 weights of a block`);
  return json;
}
