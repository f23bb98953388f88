/**
 * A static tensor graph. Build it with `ops`, append the backward pass with `gradients`, and export it as ONNX.
 * One definition of a network serves its training step, its Node decoder and its browser decoder.
 */
import type { DType, HostTensor } from '../runtime/tensor.js';
import { writeOnnx, type ExternalWeights } from './onnx.js';

/** A size known when the graph is built, or the name of one that is known when it runs. */
export type Dim = number | string;

/** A bare number is an integer; a float is written as `{ float }`, also where it is whole. */
export type Attribute = number | string | readonly number[] | HostTensor | { readonly float: number } | { readonly floats: readonly number[] };
export type Attributes = Readonly<Record<string, Attribute>>;

/** A tensor somewhere in a graph: an input, a parameter, a weight, or a node's result. */
export class Value {
  constructor(
    readonly graph: Graph,
    readonly name: string,
    readonly dtype: DType,
    readonly dims: readonly Dim[],
    /** The node that computes it; null for inputs, parameters and weights. */
    readonly node: GraphNode | null,
  ) {}

  get rank(): number {
    return this.dims.length;
  }
}

export interface GraphNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Attributes;
  readonly outputs: Value[];
}

export interface OutputType {
  readonly dtype: DType;
  readonly dims: readonly Dim[];
}

export class Graph {
  readonly nodes: GraphNode[] = [];
  readonly inputs: Value[] = [];
  readonly parameters: Value[] = [];
  readonly initializers = new Map<string, HostTensor>();
  readonly outputs: { readonly name: string; readonly value: Value }[] = [];
  private readonly names = new Set<string>();
  private counter = 0;

  constructor(readonly name: string) {}

  /** A tensor given at every run. Symbolic sizes are strings, equal names meaning equal sizes. */
  input(name: string, dtype: DType, dims: readonly Dim[]): Value {
    const value = new Value(this, this.claim(name), dtype, dims, null);
    this.inputs.push(value);
    return value;
  }

  /** A trainable float32 tensor: an input of the exported model, listed apart so that a trainer can find it. */
  parameter(name: string, dims: readonly number[]): Value {
    const value = this.input(name, 'float32', dims);
    this.parameters.push(value);
    return value;
  }

  /** A weight stored inside the exported model. */
  initializer(name: string, tensor: HostTensor): Value {
    const value = new Value(this, this.claim(name), tensor.dtype, tensor.dims, null);
    this.initializers.set(value.name, tensor);
    return value;
  }

  /** Names `value` as a result of the exported model. */
  output(name: string, value: Value): void {
    this.assertOwn(value);
    this.outputs.push({ name: this.claim(name), value });
  }

  /** Adds a node of any ONNX operator. `ops` wraps the common ones and infers their shapes. */
  op(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: Attributes,
    options: { readonly domain?: string; readonly outputs: readonly OutputType[] },
  ): Value[] {
    for (const input of inputs) if (input !== null) this.assertOwn(input);
    const node: GraphNode = { op, domain: options.domain ?? '', inputs, attributes, outputs: [] };
    for (const { dtype, dims } of options.outputs) {
      node.outputs.push(new Value(this, this.claim(`${op}_${this.counter++}`), dtype, dims, node));
    }
    this.nodes.push(node);
    return node.outputs;
  }

  /** The graph as a serialised ONNX model. Nodes that no output needs are left out. */
  toOnnx(): Uint8Array {
    return writeOnnx(this);
  }

  /**
   * As `toOnnx`, but large weights lie beside the model: a protobuf message ends at 2 GiB, and every copy of the weights takes
   * its time. Give both to `createSession`.
   */
  toOnnxParts(): { readonly model: Uint8Array; readonly weights: readonly ExternalWeights[] } {
    const weights: ExternalWeights[] = [];
    return { model: writeOnnx(this, weights), weights };
  }

  private claim(name: string): string {
    if (this.names.has(name)) throw new Error(`graph "${this.name}" already has a tensor "${name}"`);
    this.names.add(name);
    return name;
  }

  private assertOwn(value: Value): void {
    if (value.graph !== this) throw new Error(`tensor "${value.name}" belongs to graph "${value.graph.name}", not to "${this.name}"`);
  }
}
