/**
 * Q-Former (BLIP-2, Li et al., 2023, section 3.1): learned queries that read an encoder's tokens by cross-attention. A BERT
 * with post-norm residuals; only its query path, since no text goes in. Names are those of the published checkpoints.
 */
import { ops, type Value } from '../graph/index.js';
import { linear, norm, type WeightSource } from './layers.js';

export interface QFormerConfig {
  /** Width of the queries. */
  readonly hidden: number;
  readonly heads: number;
  /** Width of the feed-forward's hidden layer. */
  readonly inner: number;
  readonly layers: number;
  /** Every so many layers, from the first on, have cross-attention. */
  readonly crossEvery: number;
  readonly queries: number;
}

const EPS = 1e-12;

/**
 * @param encoded (N, tokens, width): what the queries read
 * @param queries (1, Q, H): the learned query tokens
 * @param weights those under `bert.`
 * @returns (N, Q, H)
 */
export function qFormer(config: QFormerConfig, encoded: Value, queries: Value, weights: WeightSource): Value {
  let x = norm(queries, weights, 'embeddings.LayerNorm', EPS);
  for (let layer = 0; layer < config.layers; layer++) {
    const name = `encoder.layer.${layer}`;
    x = attend(config, x, x, weights, `${name}.attention`);
    if (layer % config.crossEvery === 0) x = attend(config, x, encoded, weights, `${name}.crossattention`);
    const inner = ops.gelu(linear(x, weights, `${name}.intermediate_query.dense`, config.inner));
    const out = linear(inner, weights, `${name}.output_query.dense`, config.hidden);
    x = norm(ops.add(out, x), weights, `${name}.output_query.LayerNorm`, EPS);
  }
  return x;
}

/** Attention from x (N, Q, H) to `context` (N, K, width), with its residual and norm. */
function attend({ hidden, heads }: QFormerConfig, x: Value, context: Value, weights: WeightSource, name: string): Value {
  const part = (of: Value, which: string): Value => linear(of, weights, `${name}.self.${which}`, hidden);
  const mixed = ops.attention(part(x, 'query'), part(context, 'key'), part(context, 'value'), heads);
  return norm(ops.add(linear(mixed, weights, `${name}.output.dense`, hidden), x), weights, `${name}.output.LayerNorm`, EPS);
}
