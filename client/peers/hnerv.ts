/**
 * HNeRV (Chen et al., CVPR 2023): a ConvNeXt encoder makes of each frame a small embedding (16 channels of about 2 x 4), a
 * decoder of pixel-shuffle blocks draws the frame from it. Kernels 1, 3, 5, 5, ... and channels falling by 1.2, as published.
 */
import { ops, type ParameterSpec, type Value } from '../../model/graph/index.js';
import { normal } from '../../model/runtime/random.js';
import { blockSpecs, convolution, convolutionSpecs, decoderBlocks, parameter, runBlocks, uniformStart, upscaling } from './layers.js';
import type { Parameters, Peer, PeerVideo } from './peer.js';

const ENCODER_CHANNELS = 64;
const EMBEDDING_CHANNELS = 16;
const EMBEDDING_ROWS = 2;
const REDUCTION = 1.2;
const LARGEST_KERNEL = 5;
/** ConvNeXt's (Liu et al., 2022): depthwise kernel, inner width, LayerNorm's epsilon, first layer scale. */
const DEPTHWISE_KERNEL = 7;
const EXPANSION = 4;
const EPSILON = 1e-6;
const LAYER_SCALE = 1e-6;

interface Stage {
  readonly name: string;
  readonly inputs: number;
  readonly channels: number;
  readonly stride: number;
}

/** @param width channels of the decoder's first feature map. */
export function hnerv(video: PeerVideo, width: number): Peer {
  const { scales, rows, columns } = upscaling(video.width, video.height, EMBEDDING_ROWS);
  const total = scales.reduce((product, scale) => product * scale, 1);
  const blocks = decoderBlocks({ width, reduction: REDUCTION, scales, kernel: (i) => Math.min(1 + 2 * i, LARGEST_KERNEL) });
  const stages = scales.map((stride, i): Stage => ({
    name: `encoder.stage${i}`,
    inputs: i === 0 ? 3 : ENCODER_CHANNELS,
    channels: i === scales.length - 1 ? EMBEDDING_CHANNELS : ENCODER_CHANNELS,
    stride,
  }));
  const decoderSpecs = [...convolutionSpecs('stem', EMBEDDING_CHANNELS, width, 1), ...blockSpecs(blocks)];
  return {
    name: 'HNeRV',
    video,
    canvas: { width: columns * total, height: rows * total },
    decoderSpecs,
    encoderSpecs: stages.flatMap(stageSpecs),
    codeDims: [EMBEDDING_CHANNELS, rows, columns],
    initial: (spec, random) => (spec.name.startsWith('encoder.') ? encoderStart(spec, random) : uniformStart(spec, decoderSpecs, random)),
    codeAt: null,
    encode: (parameters, frames) => stages.reduce((x, stage, i) => runStage(parameters, stage, x, i === 0), frames),
    decode: (parameters, codes) => runBlocks(parameters, blocks, ops.gelu(convolution(parameters, 'stem', codes, 1))),
  };
}

function stageSpecs(stage: Stage): ParameterSpec[] {
  const { name, inputs, channels, stride } = stage;
  return [
    ...convolutionSpecs(`${name}.down`, inputs, channels, stride),
    // The first stage normalises after its convolution, the others before.
    ...normSpecs(`${name}.norm`, name.endsWith('stage0') ? channels : inputs),
    { name: `${name}.depthwise.weight`, dims: [channels, 1, DEPTHWISE_KERNEL, DEPTHWISE_KERNEL] },
    { name: `${name}.depthwise.bias`, dims: [channels] },
    ...normSpecs(`${name}.inner`, channels),
    { name: `${name}.wide.weight`, dims: [channels, EXPANSION * channels] },
    { name: `${name}.wide.bias`, dims: [EXPANSION * channels] },
    { name: `${name}.narrow.weight`, dims: [EXPANSION * channels, channels] },
    { name: `${name}.narrow.bias`, dims: [channels] },
    { name: `${name}.layerscale`, dims: [channels] },
  ];
}

function normSpecs(name: string, channels: number): ParameterSpec[] {
  return [{ name: `${name}.scale`, dims: [channels] }, { name: `${name}.bias`, dims: [channels] }];
}

/** ConvNeXt's start: weights of deviation 0.02, no biases. */
function encoderStart({ name, dims }: ParameterSpec, random: () => number): Float32Array {
  const values = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  if (name.endsWith('.weight')) return values.map(() => normal(random) * 0.02);
  if (name.endsWith('.layerscale')) return values.fill(LAYER_SCALE);
  return name.endsWith('.scale') ? values.fill(1) : values;
}

/** A strided convolution and one ConvNeXt block: (N, inputs, H, W) -> (N, channels, H / stride, W / stride). */
function runStage(parameters: Parameters, stage: Stage, x: Value, first: boolean): Value {
  const get = (part: string): Value => parameter(parameters, `${stage.name}.${part}`);
  const norm = (value: Value, part: string): Value => ops.layerNorm(value, get(`${part}.scale`), get(`${part}.bias`), EPSILON);
  const channelsFirst = (value: Value): Value => ops.transpose(value, [0, 3, 1, 2]);
  const channelsLast = (value: Value): Value => ops.transpose(value, [0, 2, 3, 1]);
  const down = (value: Value): Value => ops.conv2d(value, get('down.weight'), get('down.bias'), { stride: stage.stride });
  const entry = first ? channelsFirst(norm(channelsLast(down(x)), 'norm')) : down(channelsFirst(norm(channelsLast(x), 'norm')));
  const pad = (DEPTHWISE_KERNEL - 1) / 2;
  const mixed = ops.conv2d(entry, get('depthwise.weight'), get('depthwise.bias'), { pads: [pad, pad, pad, pad], groups: stage.channels });
  const wide = ops.gelu(ops.add(ops.matmul(norm(channelsLast(mixed), 'inner'), get('wide.weight')), get('wide.bias')));
  const narrow = ops.add(ops.matmul(wide, get('narrow.weight')), get('narrow.bias'));
  return ops.add(entry, channelsFirst(ops.mul(narrow, get('layerscale'))));
}
