/** Gradients of a 2-D convolution, themselves convolutions. */
import type { GraphNode, Value } from './graph.js';
import * as ops from './ops.js';

/**
 * For y = conv(x, w) + bias: dx is the transposed convolution of dy with w; dw is the convolution of x with dy, batch
 * and channels changing places, dy dilated by the stride; dbias sums dy. A grouped convolution's gradients are grouped too.
 */
export function convolutionGradients(node: GraphNode, grad: Value): (Value | null)[] {
  const [x, w, bias] = node.inputs as [Value, Value, Value | undefined];
  const group = node.attributes['group'] as number;
  const [stride] = node.attributes['strides'] as readonly [number, number];
  const pads = node.attributes['pads'] as readonly [number, number, number, number];
  const [batch, , height, width] = x.dims as readonly [number, number, number, number];
  const [outputs, groupInputs, kernelHeight, kernelWidth] = w.dims as readonly [number, number, number, number];
  const [, , outHeight, outWidth] = grad.dims as readonly [number, number, number, number];
  // Rows and columns of x past the last full step of the kernel: they get no gradient from the formula's plain size.
  const rest = [height + pads[0] + pads[2] - ((outHeight - 1) * stride + kernelHeight), width + pads[1] + pads[3] - ((outWidth - 1) * stride + kernelWidth)];
  const dx = grad.graph.op('ConvTranspose', [grad, w], { strides: [stride, stride], pads: [...pads], output_padding: rest, group }, {
    outputs: [{ dtype: 'float32', dims: x.dims }],
  })[0] as Value;
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

/** A convolution takes no negative padding: what would be one is cut off the input instead. */
function trim(x: Value, pads: readonly number[]): Value {
  const bottom = Math.min(0, pads[2] as number);
  const right = Math.min(0, pads[3] as number);
  const rows = bottom === 0 ? x : ops.slice(x, 2, 0, (x.dims[2] as number) + bottom);
  return right === 0 ? rows : ops.slice(rows, 3, 0, (x.dims[3] as number) + right);
}
