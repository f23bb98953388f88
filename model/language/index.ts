/** The language model: weights, graph, cache, sampling, text. */
export { LanguageModel, type LanguageModelOptions } from './language-model.js';
export { ContextError, Decoder, type DecoderOptions } from './decoder.js';
export { beamSearch, type BeamOptions, type FoundText } from './beam-search.js';
export { generate, prefill, SHORTEST_PREFILL, type FinishReason, type GenerateOptions } from './generate.js';
export { scoreContinuations, type Likelihood } from './likelihood.js';
export { KvCache } from './kv-cache.js';
export { DecoderBatch, type Sequence } from './batch.js';
export { argmax, checkSampling, logProbability, Sampler, type SamplingOptions } from './sampler.js';
export { choice, literal, oneOf, optional, repeat, sequence, startOf, type Grammar, type GrammarState } from './grammar.js';
export { jsonObject, jsonSchema, SchemaError } from './json-schema.js';
export { TokenConstraint } from './constraint.js';
export type { PooledLayers } from './decoder-graph.js';
export { TextStates, type TextStatesOptions } from './text-states.js';
export type { WeightKind } from './linear.js';
export { ChatTemplate, type TemplateMessage } from './chat-template.js';
export { TextStream, TextTokenizer } from './tokenizer.js';
