/** Gradients of a 2-D convolution, themselves convolutions. */
import { int64 } from '../runtime/tensor.js';
import type { GraphNode, Value } from './graph.js';
import * as ops from './ops.js';

type Four = readonly [number, number, number, number];

/**
 * For y = conv(x, w) + bias: dx is the transposed convolution of dy with w; dw is the convolution of x with dy, batch
 * and channels changing places, dy dilated by the stride; dbias sums dy. A grouped convolution's gradients are grouped too.
 */
export function convolutionGradients(node: GraphNode, grad: Value): (Value | null)[] {
  const [x, w, bias] = node.inputs as [Value, Value, Value | undefined];
  const group = node.attributes['group'] as number;
  const [stride] = node.attributes['strides'] as readonly [number, number];
  const pads = node.attributes['pads'] as Four;
  const [batch, , height, width] = x.dims as Four;
  const [outputs, groupInputs, kernelHeight, kernelWidth] = w.dims as Four;
  const [, , outHeight, outWidth] = grad.dims as Four;
  // Rows and columns of x past the last full step of the kernel: they get no gradient from the formula's plain size.
  const rest = [height + pads[0] + pads[2] - ((outHeight - 1) * stride + kernelHeight), width + pads[1] + pads[3] - ((outWidth - 1) * stride + kernelWidth)];
  const turnedPads: Four = [kernelHeight - 1 - pads[0], kernelWidth - 1 - pads[1], kernelHeight - 1 - pads[2], kernelWidth - 1 - pads[3]];
  const dx = stride === 1 && turnedPads.every((pad) => pad >= 0)
    // ONNX Runtime's convolutions are faster than its transposed ones, several times so where y has few channels.
    ? ops.conv2d(grad, turned(w, group), null, { pads: turnedPads, groups: group })
    : (grad.graph.op('ConvTranspose', [grad, w], { strides: [stride, stride], pads: [...pads], output_padding: rest, group }, {
      outputs: [{ dtype: 'float32', dims: x.dims }],
    })[0] as Value);
  const outerPads = [pads[0], pads[1], pads[2] - (rest[0] as number), pads[3] - (rest[1] as number)];
  // x (N, g * i, H, W) -> (i, g * N, H, W), dy (N, g * o, h, w) -> (g * o, N, h, w): group by group, i images of N channels.
  const images = ops.reshape(ops.transpose(ops.reshape(x, [batch, group, groupInputs, height, width]), [2, 1, 0, 3, 4]), [groupInputs, group * batch, height, width]);
  const kernels = ops.transpose(grad, [1, 0, 2, 3]);
  const dw = grad.graph.op('Conv', [trim(images, outerPads), kernels], {
    strides: [1, 1], dilations: [stride, stride], pads: outerPads.map((p) => Math.max(0, p)), group,
  }, {
    outputs: [{ dtype: 'float32', dims: [groupInputs, outputs, kernelHeight, kernelWidth] }],
  })[0] as Value;
  const swapped = ops.transpose(dw, [1, 0, 2, 3]); // (g * o, i, kh, kw)
  return bias === undefined ? [dx, swapped] : [dx, swapped, ops.reduceSum(grad, [0, 2, 3], false)];
}

/** The kernel that carries dy back to x: turned by half a circle, inputs and outputs changing places. (g * o, i, kh, kw) -> (g * i, o, kh, kw). */
function turned(w: Value, group: number): Value {
  const [outputs, inputs, height, width] = w.dims as Four;
  const apart = ops.transpose(ops.reshape(w, [group, outputs / group, inputs, height, width]), [0, 2, 1, 3, 4]);
  const swapped = ops.reshape(apart, [group * inputs, outputs / group, height, width]);
  const backwards = (size: number): Value => ops.constant(w.graph, int64(Array.from({ length: size }, (_, i) => size - 1 - i)));
  return ops.gather(ops.gather(swapped, backwards(height), 2), backwards(width), 3);
}

/** A convolution takes no negative padding: what would be one is cut off the input instead. */
function trim(x: Value, pads: readonly number[]): Value {
  const bottom = Math.min(0, pads[2] as number);
  const right = Math.min(0, pads[3] as number);
  const rows = bottom === 0 ? x : ops.slice(x, 2, 0, (x.dims[2] as number) + bottom);
  return right === 0 ? rows : ops.slice(rows, 3, 0, (x.dims[3] as number) + right);
}
