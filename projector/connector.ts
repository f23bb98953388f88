/** Idefics3's projector (Laurençon et al., 2024), SmolVLM's too: one linear map from the tower's shuffled tokens to the language model. */
import type { Value } from '../model/graph/index.js';
import { linear, type WeightSource } from '../model/vision/layers.js';

/** Shuffled tokens (N, tokens, W * factor^2) to language-model tokens (N, tokens, `language`); weights as published. */
export function connector(tokens: Value, language: number, weights: WeightSource): Value {
  return linear(tokens, weights, 'model.connector.modality_projection.proj', language, false);
}
