/** Gradients of a 2-D convolution, themselves convolutions. */
import type { GraphNode, Value } from './graph.js';
import * as ops from './ops.js';

/**
 * For y = conv(x, w) + bias: dx is the transposed convolution of dy with w; dw is the convolution of x with dy, batch
 * and channels changing places, dy dilated by the stride; dbias sums dy.
 *
 * @throws Error for grouped convolutions: nothing trained here has them.
 */
export function convolutionGradients(node: GraphNode, grad: Value): (Value | null)[] {
  const [x, w, bias] = node.inputs as [Value, Value, Value | undefined];
  if (node.attributes['group'] !== 1) throw new Error('gradients: a grouped convolution has no gradient rule');
  const [stride] = node.attributes['strides'] as readonly [number, number];
  const pads = node.attributes['pads'] as readonly [number, number, number, number];
  const [, , height, width] = x.dims as readonly [number, number, number, number];
  const [, , kernelHeight, kernelWidth] = w.dims as readonly [number, number, number, number];
  const [, , outHeight, outWidth] = grad.dims as readonly [number, number, number, number];
  // Rows and columns of x past the last full step of the kernel: they get no gradient from the formula's plain size.
  const rest = [height + pads[0] + pads[2] - ((outHeight - 1) * stride + kernelHeight), width + pads[1] + pads[3] - ((outWidth - 1) * stride + kernelWidth)];
  const dx = grad.graph.op('ConvTranspose', [grad, w], { strides: [stride, stride], pads: [...pads], output_padding: rest }, {
    outputs: [{ dtype: 'float32', dims: x.dims }],
  })[0] as Value;
  const swap = (value: Value): Value => ops.transpose(value, [1, 0, 2, 3]);
  const attributes = { strides: [1, 1], dilations: [stride, stride], pads: [pads[0], pads[1], pads[2] - (rest[0] as number), pads[3] - (rest[1] as number)] };
  const trimmed = trim(swap(x), attributes.pads);
  const dw = grad.graph.op('Conv', [trimmed, swap(grad)], { ...attributes, pads: attributes.pads.map((p) => Math.max(0, p)) }, {
    outputs: [{ dtype: 'float32', dims: swap(w).dims }],
  })[0] as Value;
  return bias === undefined ? [dx, swap(dw)] : [dx, swap(dw), ops.reduceSum(grad, [0, 2, 3], false)];
}

/** A convolution takes no negative padding: what would be one is cut off the input instead. */
function trim(x: Value, pads: readonly number[]): Value {
  const bottom = Math.min(0, pads[2] as number);
  const right = Math.min(0, pads[3] as number);
  const rows = bottom === 0 ? x : ops.slice(x, 2, 0, (x.dims[2] as number) + bottom);
  return right === 0 ? rows : ops.slice(rows, 3, 0, (x.dims[3] as number) + right);
}
