/** The projector's network: a frame's latent to the language-model tokens that stand for it. */
import { Graph, ops, type Value } from '../model/graph/index.js';
import type { ModelPack, TensorFile } from '../model/pack/index.js';
import { decodeFloat16 } from '../model/runtime/float16.js';
import { asFloat32, float32, type HostTensor } from '../model/runtime/tensor.js';
import type { Runtime, Session } from '../model/runtime/types.js';

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

/** tokens = fc2(gelu(fc1(n))) + skip(n) with n = z * norm: `latents` (T, D) to `tokens` (T, K, H). */
export function buildProjector(shape: ProjectorShape, weights: TensorFile): Graph {
  const { latent, tokens, hidden, inner } = shape;
  const graph = new Graph('projector');
  const constant = (name: string, dims: readonly number[]): Value => {
    const data = decodeFloat16(weights.get(name, dims).data as Uint16Array);
    return graph.initializer(name, { dtype: 'float32', dims, data });
  };
  const linear = (x: Value, name: string, out: number, input: number): Value =>
    ops.matmul(x, ops.transpose(constant(`${name}.weight`, [out, input]), [1, 0]));

  const normal = ops.mul(graph.input('latents', 'float32', ['T', latent]), constant('norm', [latent]));
  const first = ops.gelu(ops.add(linear(normal, 'fc1', inner, latent), constant('fc1.bias', [inner])));
  const second = ops.add(linear(first, 'fc2', tokens * hidden, inner), constant('fc2.bias', [tokens * hidden]));
  const rows = ops.add(second, linear(normal, 'skip', tokens * hidden, latent));
  graph.output('tokens', ops.reshape(rows, [0, tokens, hidden]));
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
