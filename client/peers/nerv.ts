/**
 * NeRV (Chen et al., NeurIPS 2021) with the form its authors give it as HNeRV's baseline for small sizes (Chen et al., CVPR
 * 2023): positional encoding of time with b = 1.25 and l = 80, one linear layer to a feature map of about 8 x 16, blocks of
 * 3 x 3 convolution, pixel shuffle and GELU whose channels halve, a 3 x 3 head.
 */
import { ops } from '../../model/graph/index.js';
import { blockSpecs, decoderBlocks, parameter, runBlocks, uniformStart, upscaling } from './layers.js';
import { withoutEncoder, type Peer, type PeerVideo } from './peer.js';

const BASE = 1.25;
const LEVELS = 80;
const FIRST_ROWS = 8;

/** @param width channels of the first feature map. */
export function nerv(video: PeerVideo, width: number): Peer {
  const { scales, rows, columns } = upscaling(video.width, video.height, FIRST_ROWS);
  const total = scales.reduce((product, scale) => product * scale, 1);
  const blocks = decoderBlocks({ width, reduction: 2, scales, kernel: () => 3 });
  const features = width * rows * columns;
  const decoderSpecs = [{ name: 'stem.weight', dims: [features, 2 * LEVELS] }, { name: 'stem.bias', dims: [features] }, ...blockSpecs(blocks)];
  return {
    ...withoutEncoder('NeRV'),
    video,
    canvas: { width: columns * total, height: rows * total },
    decoderSpecs,
    codeDims: [2 * LEVELS],
    initial: (spec, random) => uniformStart(spec, decoderSpecs, random),
    codeAt: (index) => positionalEncoding(index / video.frames),
    decode: (parameters, codes) => {
      const stem = ops.add(ops.matmul(codes, ops.transposeLast(parameter(parameters, 'stem.weight'))), parameter(parameters, 'stem.bias'));
      const count = codes.dims[0] as number;
      return runBlocks(parameters, blocks, ops.reshape(ops.gelu(stem), [count, width, rows, columns]));
    },
  };
}

/** (2 l): sin and cos of b^i pi t for i = 0 to l - 1, t = frame / T. In double precision: the last angles are about 10^8. */
function positionalEncoding(time: number): Float32Array {
  const angles = Array.from({ length: LEVELS }, (_, level) => BASE ** level * Math.PI * time);
  return Float32Array.from([...angles.map(Math.sin), ...angles.map(Math.cos)]);
}
