/** Shape arithmetic over sizes that may be symbolic. */
import type { Dim } from './graph.js';

export function dimsEqual(a: Dim, b: Dim): boolean {
  // Two different names may still be equal at run time; only two different numbers are surely wrong.
  return typeof a !== typeof b || typeof a === 'string' || a === b;
}

/** ONNX (NumPy) broadcasting. A symbolic size wins over 1; a number wins over a name. */
export function broadcastDims(op: string, a: readonly Dim[], b: readonly Dim[]): Dim[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a[a.length - rank + i] ?? 1;
    const right = b[b.length - rank + i] ?? 1;
    if (left === 1) return right;
    if (right === 1 || left === right) return left;
    if (typeof left === 'string') return right;
    if (typeof right === 'string') return left;
    throw new RangeError(`${op}: shapes [${a.join(', ')}] and [${b.join(', ')}] do not broadcast`);
  });
}

export function normalizeAxis(op: string, axis: number, rank: number): number {
  const at = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(at) || at < 0 || at >= rank) throw new RangeError(`${op}: axis ${axis} is outside a tensor of rank ${rank}`);
  return at;
}

export function reducedDims(dims: readonly Dim[], axes: readonly number[], keepDims: boolean): Dim[] {
  return keepDims ? dims.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) : dims.filter((_, axis) => !axes.includes(axis));
}

/** What a Reshape node is given (`shape`) and what comes out as far as it is known (`inferred`). */
export function reshapedDims(from: readonly Dim[], to: readonly Dim[]): { shape: number[]; inferred: Dim[] } {
  const names = to.filter((dim) => typeof dim === 'string');
  const shape = to.map((dim, axis) => {
    if (typeof dim === 'number') return dim;
    if (from[axis] === dim) return 0;
    if (names.length > 1 || to.includes(-1)) throw new RangeError(`reshape: only one size of [${to.join(', ')}] can be left open`);
    return -1;
  });
  const known = from.every((dim) => typeof dim === 'number');
  const total = known ? (from as number[]).reduce((a, b) => a * b, 1) : null;
  const inferred = to.map((dim, axis): Dim => (dim === 0 ? (from[axis] as Dim) : dim));
  const open = inferred.indexOf(-1);
  if (open >= 0) {
    const others = inferred.filter((_, axis) => axis !== open);
    if (total !== null && others.every((dim) => typeof dim === 'number')) {
      inferred[open] = total / (others as number[]).reduce((a, b) => a * b, 1);
    } else {
      const kept = others.reduce((a: number, dim) => (typeof dim === 'number' ? a * dim : a), 1);
      const left = from.filter((dim) => !others.includes(dim) || typeof dim === 'number');
      const sizes = left.filter((dim) => typeof dim === 'number').reduce((a: number, dim) => a * (dim as number), 1);
      const symbols = left.filter((dim) => typeof dim === 'string');
      const symbol = symbols.length === 0 ? '' : symbols.join('*');
      const factor = sizes / kept;
      inferred[open] = symbol === '' ? factor : factor === 1 ? symbol : `${factor}*${symbol}`;
    }
  }
  const product = inferred.every((dim) => typeof dim === 'number') ? (inferred as number[]).reduce((a, b) => a * b, 1) : null;
  if (total !== null && product !== null && total !== product) {
    throw new RangeError(`reshape: [${from.join(', ')}] has ${total} elements, [${to.join(', ')}] does not`);
  }
  return { shape, inferred };
}

export function slicedDim(dim: Dim, start: number, end: number, stride: number): Dim {
  if (typeof dim === 'string') return `${dim}[${start}:${end}:${stride}]`;
  const bound = (index: number): number => Math.min(dim, Math.max(0, index < 0 ? index + dim : index));
  return Math.max(0, Math.ceil((bound(end) - bound(start)) / stride));
}

export function convolvedDim(dim: Dim, kernel: number, stride: number, padding: number): Dim {
  return typeof dim === 'number' ? Math.floor((dim + padding - kernel) / stride) + 1 : `conv(${dim})`;
}
