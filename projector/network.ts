/** The projector's network: a frame's latent to the language-model tokens that stand for it. */
import { Graph, ops, type Value } from '../model/graph/index.js';
import type { ModelPack, TensorFile } from '../model/pack/index.js';
import { decodeFloat16 } from '../model/runtime/float16.js';
import { asFloat32, float32, type HostTensor } from '../model/runtime/tensor.js';
import type { Runtime, Session } from '../model/runtime/types.js';
import { projectorShapes } from './initialise.js';

export interface ProjectorShape {
  /** D: numbers a frame. */
  readonly latent: number;
  /** K: tokens a frame unfolds to. */
  readonly tokens: number;
  /** Width of the language model. */
  readonly hidden: number;
  /** Width of the network's hidden layer. */
  readonly inner: number;
}

/**
 * tokens = fc2(gelu(fc1(n))) + skip(n) with n = z * norm: latents (T, D) to rows (T, K H).
 * @param weights by their names in a pack's file
 */
export function projectTokens(latents: Value, weights: ReadonlyMap<string, Value>): Value {
  const weight = (name: string): Value => weights.get(name) as Value;
  const linear = (x: Value, name: string): Value => ops.matmul(x, ops.transposeLast(weight(`${name}.weight`)));
  const normal = ops.mul(latents, weight('norm'));
  const first = ops.gelu(ops.add(linear(normal, 'fc1'), weight('fc1.bias')));
  return ops.add(ops.add(linear(first, 'fc2'), weight('fc2.bias')), linear(normal, 'skip'));
}

/** `latents` (T, D) to `tokens` (T, K, H). */
export function buildProjector(shape: ProjectorShape, tensors: TensorFile): Graph {
  const { latent, tokens, hidden } = shape;
  const graph = new Graph('projector');
  const weights = new Map(
    Object.entries(projectorShapes(shape)).map(([name, dims]) => {
      const data = decodeFloat16(tensors.get(name, dims).data as Uint16Array);
      return [name, graph.initializer(name, { dtype: 'float32', dims, data })];
    }),
  );
  graph.output('tokens', ops.reshape(projectTokens(graph.input('latents', 'float32', ['T', latent]), weights), [0, tokens, hidden]));
  return graph;
}

export class Projector {
  private constructor(
    readonly shape: ProjectorShape,
    private readonly session: Session,
  ) {}

  static async load(pack: ModelPack, runtime: Runtime): Promise<Projector> {
    const { latent, language, projector } = pack.manifest;
    const shape = { latent: latent.dim, tokens: latent.tokens, hidden: language.hidden, inner: projector.hidden };
    const graph = buildProjector(shape, await pack.tensors('projector.safetensors'));
    return new Projector(shape, await runtime.createSession(graph.toOnnx()));
  }

  /** Latents (T, D) to token embeddings (T, K, H). */
  async project(latents: Float32Array): Promise<Float32Array> {
    const frames = latents.length / this.shape.latent;
    const outputs = await this.session.run({ latents: float32(latents, [frames, this.shape.latent]) });
    return asFloat32(outputs['tokens'] as HostTensor);
  }

  async release(): Promise<void> {
    await this.session.release();
  }
}
