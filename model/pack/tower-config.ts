/** A published vision tower as pack.json describes it: everything its network needs but the weights. */
import Type, { type Static } from 'typebox';

const Side = Type.Integer({ minimum: 1, maximum: 16_384 });
const Count = Type.Integer({ minimum: 1, maximum: 1_000_000 });
const Colours = Type.Array(Type.Number(), { minItems: 3, maxItems: 3 });
const Deviations = Type.Array(Type.Number({ exclusiveMinimum: 0 }), { minItems: 3, maxItems: 3 });

/** See vision/vit.ts. */
const Vit = Type.Object({
  image: Side,
  patch: Side,
  width: Count,
  depth: Count,
  heads: Count,
  inner: Count,
  activation: Type.Union([Type.Literal('gelu'), Type.Literal('gelu_tanh'), Type.Literal('quick_gelu')]),
  eps: Type.Number({ exclusiveMinimum: 0 }),
  classToken: Type.Boolean(),
  patchBias: Type.Boolean(),
  normBefore: Type.Boolean(),
  normAfter: Type.Boolean(),
});

/** See vision/q-former.ts. */
export const Former = Type.Object({ hidden: Count, heads: Count, inner: Count, layers: Count, crossEvery: Count, queries: Count });

/** See vision/preparation.ts. */
const Preparation = Type.Object({
  size: Side,
  filter: Type.Union([Type.Literal('triangle'), Type.Literal('area'), Type.Literal('bicubic'), Type.Literal('lanczos')]),
  fit: Type.Union([Type.Literal('squash'), Type.Literal('crop')]),
  shortest: Type.Optional(Side),
  longest: Type.Optional(Side),
  rescale: Type.Number(),
  mean: Colours,
  std: Deviations,
});

export const Tower = Type.Object({
  architecture: Type.Union([Type.Literal('clip'), Type.Literal('siglip'), Type.Literal('idefics3'), Type.Literal('video-llama')]),
  /** The pack's files that hold its tensors between them, under their published names. */
  files: Type.Array(Type.String(), { maxItems: 1024 }),
  /** In front of the names of the vision transformer's tensors. */
  prefix: Type.String({ maxLength: 100 }),
  vit: Vit,
  /** Of video-llama: the frames' Q-Former. */
  former: Type.Optional(Former),
  /** Of idefics3: so many patches a side become one token. */
  shuffle: Type.Optional(Type.Integer({ minimum: 1, maximum: 64 })),
  preparation: Preparation,
});

export type TowerConfig = Static<typeof Tower>;

/** What contradicts itself in a tower's description, by its field, or null. */
export function towerContradiction({ architecture, vit, former, shuffle, preparation }: TowerConfig): string | null {
  const { image, patch, width, heads } = vit;
  if (patch > image) return `vit.patch ${patch} is larger than vit.image ${image}`;
  if (width % heads !== 0) return `vit.heads ${heads} does not divide vit.width ${width}`;
  if (preparation.size !== image) return `preparation.size ${preparation.size} is not vit.image ${image}: positions were learned for that size`;
  if (preparation.shortest !== undefined && preparation.shortest < preparation.size) return `preparation.shortest ${preparation.shortest} is smaller than preparation.size ${preparation.size}`;
  if ((former !== undefined) !== (architecture === 'video-llama')) return `former belongs to video-llama, the architecture is ${architecture}`;
  if (former !== undefined && former.hidden % former.heads !== 0) return `former.heads ${former.heads} does not divide former.hidden ${former.hidden}`;
  if ((shuffle !== undefined) !== (architecture === 'idefics3')) return `shuffle belongs to idefics3, the architecture is ${architecture}`;
  const side = Math.floor(image / patch);
  if (shuffle !== undefined && side % shuffle !== 0) return `shuffle ${shuffle} does not divide the ${side} patches of a side`;
  return null;
}
