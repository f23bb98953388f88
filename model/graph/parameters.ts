/**
 * All trainable numbers of a network as one flat vector. One vector means one Adam update of a dozen nodes whatever the
 * number of tensors, and training state that is three arrays: easy to keep in place, to checkpoint and to resume.
 */
import { sizeOf } from '../runtime/tensor.js';
import type { Graph, Value } from './graph.js';
import * as ops from './ops.js';

export interface ParameterSpec {
  readonly name: string;
  readonly dims: readonly number[];
}

export class ParameterLayout {
  /** Number of floats of the flat vector. */
  readonly size: number;
  private readonly offsets = new Map<string, { offset: number; dims: readonly number[] }>();

  constructor(readonly specs: readonly ParameterSpec[]) {
    let offset = 0;
    for (const { name, dims } of specs) {
      if (this.offsets.has(name)) throw new Error(`parameter "${name}" is listed twice`);
      this.offsets.set(name, { offset, dims });
      offset += sizeOf(dims);
    }
    this.size = offset;
  }

  /** One parameter's part of a flat vector, as a view: writing to it writes to the vector. */
  view(flat: Float32Array, name: string): Float32Array {
    const entry = this.offsets.get(name);
    if (entry === undefined) throw new Error(`no parameter "${name}"`);
    return flat.subarray(entry.offset, entry.offset + sizeOf(entry.dims));
  }

  /** The parameters as tensors of the graph, cut out of the flat vector (size). Gradients flow back into it. */
  unflatten(flat: Value): ReadonlyMap<string, Value> {
    // A split into one piece would be a copy.
    const pieces = this.specs.length === 1 ? [flat] : ops.split(flat, 0, this.specs.map(({ dims }) => sizeOf(dims)));
    return new Map(this.specs.map(({ name, dims }, i) => [name, ops.reshape(pieces[i] as Value, dims)]));
  }

  /** The parameters as weights inside the graph, as a decoder has them. */
  initializers(graph: Graph, flat: Float32Array): ReadonlyMap<string, Value> {
    return new Map(this.specs.map(({ name, dims }) => [name, graph.initializer(name, { dtype: 'float32', dims, data: this.view(flat, name) })]));
  }
}
