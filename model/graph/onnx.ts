/** Writes a graph as an ONNX model (onnx.proto3 of ONNX 1.16; field numbers are that schema's). */
import { PbfWriter } from 'pbf';
import type { DType, HostTensor } from '../runtime/tensor.js';
import { Value, type Attribute, type Dim, type Graph, type GraphNode } from './graph.js';

/** Opset 18 is the newest in which every operator used here has a CPU and a WebAssembly kernel. */
const OPSET = 18;
const IR_VERSION = 9;

const ELEMENT_TYPE: Readonly<Record<DType, number>> = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 };
const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7 } as const;

/** Weights that lie beside a serialised model instead of in it, each under the name the model knows it by. */
export interface ExternalWeights {
  readonly path: string;
  readonly data: Uint8Array;
}

/** Tensors below this stay in the model: shapes must be known when it is loaded, and small ones save nothing. */
const LEAST_EXTERNAL = 64 * 1024;

/**
 * Serialises the nodes that the graph's outputs need, in the order they were built.
 * @param external receives the large weights, which are then left out
 */
export function writeOnnx(graph: Graph, external: ExternalWeights[] | null = null): Uint8Array {
  const { nodes, used, nameOf } = reachable(graph);
  const pbf = new PbfWriter();
  pbf.writeVarintField(1, IR_VERSION);
  pbf.writeStringField(2, 'latentchat');
  pbf.writeMessage(7, () => {
    for (const node of nodes) pbf.writeMessage(1, () => writeNode(pbf, node, nameOf), null);
    pbf.writeStringField(2, graph.name);
    for (const [name, tensor] of graph.initializers) {
      if (used.has(name)) pbf.writeMessage(5, () => writeTensor(pbf, name, tensor, external), null);
    }
    for (const input of graph.inputs) pbf.writeMessage(11, () => writeValueInfo(pbf, input.name, input), null);
    for (const { name, value } of graph.outputs) pbf.writeMessage(12, () => writeValueInfo(pbf, name, value), null);
  }, null);
  const domains = new Set(['', ...nodes.map((node) => node.domain)]);
  for (const domain of domains) {
    pbf.writeMessage(8, () => {
      pbf.writeStringField(1, domain);
      pbf.writeVarintField(2, domain === '' ? OPSET : 1);
    }, null);
  }
  return pbf.finish();
}

/**
 * The nodes the outputs depend on, and the names of all tensors they read. A node's result that is an output takes the
 * output's name, so that a runtime can compute it straight into the caller's memory; a second output of the same tensor,
 * or one that is an input too, is copied by an Identity node.
 */
function reachable(graph: Graph): { nodes: GraphNode[]; used: Set<string>; nameOf: (value: Value) => string } {
  const needed = new Set<GraphNode>();
  const used = new Set<string>();
  const stack: Value[] = graph.outputs.map(({ value }) => value);
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    used.add(value.name);
    const node = value.node;
    if (node === null || needed.has(node)) continue;
    needed.add(node);
    for (const input of node.inputs) if (input !== null) stack.push(input);
  }
  const nodes = graph.nodes.filter((node) => needed.has(node));
  const names = new Map<Value, string>();
  for (const { name, value } of graph.outputs) {
    if (value.node !== null && !names.has(value)) names.set(value, name);
    else nodes.push({ op: 'Identity', domain: '', inputs: [value], attributes: {}, outputs: [new Value(graph, name, value.dtype, value.dims, null)] });
  }
  return { nodes, used, nameOf: (value) => names.get(value) ?? value.name };
}

function writeNode(pbf: PbfWriter, node: GraphNode, nameOf: (value: Value) => string): void {
  for (const input of node.inputs) pbf.writeStringField(1, input === null ? '' : nameOf(input));
  for (const output of node.outputs) pbf.writeStringField(2, nameOf(output));
  pbf.writeStringField(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) pbf.writeMessage(5, () => writeAttribute(pbf, name, attribute), null);
  if (node.domain !== '') pbf.writeStringField(7, node.domain);
}

function writeAttribute(pbf: PbfWriter, name: string, attribute: Attribute): void {
  pbf.writeStringField(1, name);
  const type = (kind: keyof typeof ATTRIBUTE_TYPE): void => pbf.writeVarintField(20, ATTRIBUTE_TYPE[kind]);
  if (typeof attribute === 'string') {
    pbf.writeStringField(4, attribute);
    type('string');
  } else if (typeof attribute === 'number') {
    // A float that happens to be whole, such as an alpha of 1, cannot be told from an integer by its value.
    if (!Number.isInteger(attribute)) throw new TypeError(`the attribute ${name} is ${attribute}: write a float as { float: ${attribute} }`);
    pbf.writeVarintField(3, attribute);
    type('int');
  } else if ('float' in attribute) {
    writeFloat(attribute.float);
  } else if ('floats' in attribute) {
    for (const value of attribute.floats) pbf.writeFloatField(7, value);
    type('floats');
  } else if ('dtype' in attribute) {
    pbf.writeMessage(5, () => writeTensor(pbf, name, attribute), null);
    type('tensor');
  } else {
    for (const value of attribute) pbf.writeVarintField(8, value);
    type('ints');
  }

  function writeFloat(value: number): void {
    pbf.writeFloatField(2, value);
    type('float');
  }
}

function writeTensor(pbf: PbfWriter, name: string, tensor: HostTensor, external: ExternalWeights[] | null = null): void {
  for (const dim of tensor.dims) pbf.writeVarintField(1, dim);
  pbf.writeVarintField(2, ELEMENT_TYPE[tensor.dtype]);
  pbf.writeStringField(8, name);
  const { buffer, byteOffset, byteLength } = tensor.data;
  const data = new Uint8Array(buffer, byteOffset, byteLength);
  if (external === null || byteLength < LEAST_EXTERNAL) return pbf.writeBytesField(9, data);
  external.push({ path: name, data });
  for (const [key, value] of [['location', name], ['offset', '0'], ['length', String(byteLength)]] as const) {
    pbf.writeMessage(13, () => {
      pbf.writeStringField(1, key);
      pbf.writeStringField(2, value);
    }, null);
  }
  pbf.writeVarintField(14, 1); // data_location: EXTERNAL
}

function writeValueInfo(pbf: PbfWriter, name: string, value: Value): void {
  pbf.writeStringField(1, name);
  pbf.writeMessage(2, () => pbf.writeMessage(1, () => {
    pbf.writeVarintField(1, ELEMENT_TYPE[value.dtype]);
    pbf.writeMessage(2, () => {
      for (const dim of value.dims) pbf.writeMessage(1, () => writeDim(pbf, dim), null);
    }, null);
  }, null), null);
}

function writeDim(pbf: PbfWriter, dim: Dim): void {
  if (typeof dim === 'number') pbf.writeVarintField(1, dim);
  else pbf.writeStringField(2, dim);
}
