/** pack.json: what a model pack holds, how large its networks are, and where everything came from. */
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { CodedError } from '../runtime/coded-error.js';
import { Former, Tower, towerContradiction } from './tower-config.js';

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

const Factor = Type.Number({ exclusiveMinimum: 0, maximum: 10_000 });

/** How positions beyond those of the first training are reached; see language/rotary.ts. */
const RopeScaling = Type.Union([
  Type.Object({ type: Type.Literal('linear'), factor: Factor }),
  Type.Object({ type: Type.Literal('dynamic'), factor: Factor, original: Size }),
  Type.Object({ type: Type.Literal('llama3'), factor: Factor, low_freq_factor: Factor, high_freq_factor: Factor, original: Size }),
  Type.Object({ type: Type.Literal('factors'), factors: Type.Array(Factor, { minItems: 1, maxItems: 1024 }) }),
]);

const Token = Type.Integer({ minimum: 0, maximum: 10_000_000 });

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
  rope_scaling: Type.Optional(RopeScaling),
  rms_eps: Type.Number({ exclusiveMinimum: 0 }),
  /** Positions the model was trained for, in tokens. */
  context: Size,
  bos: Token,
  /** Ends the assistant's turn. */
  eos: Token,
  /** Further tokens that end an answer. */
  ends: Type.Optional(Type.Array(Token, { maxItems: 64 })),
  /** Languages it answers in, as ISO 639-1 codes; a question in another is told so. Absent: whatever is asked is answered. */
  languages: Type.Optional(Type.Array(Type.String({ pattern: '^[a-z]{2}$' }), { minItems: 1, maxItems: 200 })),
  /** The output head is the embedding matrix; otherwise it lies beside it as `head`. */
  tied: Type.Boolean(),
});

const Prompt = Type.Object({
  /** Said to the model when a conversation brings no system message of its own; empty: nothing. */
  system: Type.String(),
  photo_before: Type.String(),
  photo_after: Type.String(),
  /** `{n}` stands for the number of frames shown. */
  video_before: Type.String(),
  /** `{t}` stands for the frame's time in seconds, one decimal; `{clock}` for it as minutes and seconds, 01:05. */
  frame_before: Type.String(),
  frame_after: Type.String(),
  /** After the tokens of a video that is read as a whole: `{n}` as above, `{times}` for the frames' times in seconds. */
  video_after: Type.Optional(Type.String()),
  /** After the last frame, where anything is recognized: `{words}` stands for the names, separated by commas. */
  seen: Type.Optional(Type.String()),
  max_frames: Size,
  default_question: Type.String(),
  /** Strings that end an answer where the chat template marks turns by text. */
  stop: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { maxItems: 16 })),
});

const Share = Type.Number({ minimum: 0, maximum: 1 });

/** The map from latents to the classes that the vision tower tells apart; see projector/concepts.ts. */
const Concepts = Type.Object({
  /** Mean probability over the frames shown from which a class is named, and from which a kind of classes is. */
  sure: Share,
  kind_sure: Share,
  /** Names of one video, at most. */
  most: Type.Integer({ minimum: 1, maximum: 10 }),
});

/** What the witnesses for an answer are worth, in the order of WITNESSES in projector/confidence.ts. */
const Regression = Type.Object({ bias: Type.Number(), weights: Type.Array(Type.Number(), { minItems: 1, maxItems: 32 }) });

const Confidence = Type.Object({
  /** Chance of being right below which an answer says that it is not sure. */
  doubt: Share,
  /** By kind of answer: those of yes or no, of a few words, sentences. */
  kinds: Type.Object({ yes_no: Regression, words: Regression, sentence: Regression }),
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
  /** The same for what may be it and may not. Default: `match`. */
  possible: Type.Optional(Type.Number({ minimum: 0, maximum: 100 })),
});

const Manifest = Type.Object({
  format: Type.Literal(1),
  id: Type.String({ minLength: 1, maxLength: 200 }),
  /** Latents are comparable, and may be asked about, only within one feature space. */
  feature_space: Type.String({ minLength: 1, maxLength: 200 }),
  files: Type.Record(Type.String(), FileEntry),
  licences: Type.Array(Type.Unknown()),
  sources: Type.Array(Type.Unknown()),
  vision: Type.Union([Vision, Tower]),
  /** Numbers a frame, and the language-model tokens they unfold to. */
  latent: Type.Object({ dim: Size, tokens: Size }),
  language: Language,
  adapter: Type.Optional(Type.Object({ rank: Size })),
  /** `trained`: false for one that has learned nothing yet. */
  projector: Type.Object({
    hidden: Size,
    trained: Type.Optional(Type.Boolean()),
    /** Video-LLaMA's projector, which reads a video as a whole: `latent.tokens` are the video's then. See projector/video-llama.ts. */
    video: Type.Optional(Type.Object({ frame: Former, video: Former, positions: Size })),
  }),
  concepts: Type.Optional(Concepts),
  confidence: Type.Optional(Confidence),
  retrieval: Type.Optional(Retrieval),
  prompt: Prompt,
  measured: Type.Optional(Type.Unknown()),
});

export type PackManifest = Static<typeof Manifest>;
export type LanguageConfig = Static<typeof Language>;
export type VisionConfig = Static<typeof Vision>;
export type PromptConfig = Static<typeof Prompt>;
export type ConceptsConfig = Static<typeof Concepts>;
export type ConfidenceConfig = Static<typeof Confidence>;
export type RetrievalConfig = Static<typeof Retrieval>;

export type PackErrorCode =
  /** There is no pack at the place named. */
  | 'pack_missing'
  /** A file of the pack is missing, or is not the one that pack.json names. */
  | 'pack_damaged'
  /** pack.json, or a file it names, does not fit the format. */
  | 'pack_invalid'
  /** The pack has no part for what was asked of it. */
  | 'pack_incapable';

/** Raised for a pack that is damaged, incomplete or of another kind. The message names the file and the field. */
export class PackError extends CodedError {
  override readonly name = 'PackError';
  readonly code: PackErrorCode;

  constructor(message: string, { code = 'pack_invalid', ...options }: ErrorOptions & { readonly code?: PackErrorCode } = {}) {
    super(message, options);
    this.code = code;
  }
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
    const first = Value.Errors(narrowed(json), json)[0];
    const field = first === undefined || first.instancePath === '' ? 'the whole' : first.instancePath.slice(1).replaceAll('/', '.');
    throw new PackError(`${file}: ${field} ${first?.message ?? 'does not fit the format'}`);
  }
  for (const name of Object.keys(json.files)) {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
      throw new PackError(`${file}: files names "${name}"; a pack's files lie in its own folder and have plain names`);
    }
  }
  if ('vit' in json.vision) {
    const wrong = towerContradiction(json.vision);
    if (wrong !== null) throw new PackError(`${file}: vision.${wrong}`);
    for (const name of json.vision.files) if (!Object.hasOwn(json.files, name)) throw new PackError(`${file}: vision.files names "${name}", which files has not`);
  }
  const { video } = json.projector;
  if (video !== undefined && video.video.queries !== json.latent.tokens) {
    throw new PackError(`${file}: projector.video makes ${video.video.queries} tokens of a video, latent.tokens says ${json.latent.tokens}`);
  }
  if (video !== undefined && json.prompt.max_frames > video.positions) {
    throw new PackError(`${file}: prompt.max_frames ${json.prompt.max_frames} is more than projector.video.positions ${video.positions}`);
  }
  const { heads, kv_heads, head_dim, hidden, intermediate, vocab, bos, eos, ends = [], rope_scaling } = json.language;
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
  if ((heads * head_dim) % 32 !== 0) throw new PackError(`${file}: language.heads x head_dim is ${heads * head_dim}, not a multiple of the 32 weights of a block`);
  if (intermediate % 32 !== 0) throw new PackError(`${file}: language.intermediate ${intermediate} is not a multiple of the 32 weights of a block`);
  if (rope_scaling?.type === 'factors' && rope_scaling.factors.length !== head_dim / 2) {
    throw new PackError(`${file}: language.rope_scaling has ${rope_scaling.factors.length} factors, half of head_dim ${head_dim} is ${head_dim / 2}`);
  }
  for (const [name, id] of [['bos', bos], ['eos', eos], ...ends.map((end) => ['ends', end])] as [string, number][]) {
    if (id >= vocab) throw new PackError(`${file}: language.${name} is token ${id}, the vocabulary has ${vocab}`);
  }
  return json;
}

/** The schema with the one of the vision towers that is meant, so that an error names its field. */
function narrowed(json: unknown): typeof Manifest {
  const vision: unknown = typeof json === 'object' && json !== null && 'vision' in json ? json.vision : null;
  const published = typeof vision === 'object' && vision !== null && 'vit' in vision;
  return Type.Object({ ...Manifest.properties, vision: published ? Tower : Vision }) as unknown as typeof Manifest;
}
