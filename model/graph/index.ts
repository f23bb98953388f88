/** The tensor graph: builder, operators, gradients, ONNX writer. */
export { Graph, Value, type Attribute, type Attributes, type Dim, type GraphNode, type OutputType } from './graph.js';
export type { DType, HostTensor } from '../runtime/tensor.js';
export { gradients } from './gradients.js';
export { ADAM_DEFAULTS, adamRate, adamStep, type AdamOptions, type AdamState } from './adam.js';
export { linearWeights } from './interpolation.js';
export { ParameterLayout, type ParameterSpec } from './parameters.js';
export * as ops from './ops.js';
