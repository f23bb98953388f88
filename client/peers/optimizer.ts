/** Adam (or AdamW) on all trained numbers of a network at once, inside ONNX Runtime: one session, one step a call. */
import {
  adamRate,
  adamStep,
  Graph,
  gradients,
  ops,
  type AdamOptions,
  type ParameterLayout,
  type ParameterSpec,
  type Value,
} from '../../model/graph/index.js';
import { prepareInPlace, runInPlace } from '../../model/runtime/in-place.js';
import { asFloat32, float32, scalar, type HostTensor } from '../../model/runtime/tensor.js';
import type { Runtime, Session } from '../../model/runtime/types.js';

/** PyTorch's defaults, which all the peers were published with. */
const ADAM: AdamOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

/** What a step computes before its update. */
export interface Forward {
  /** () what is made small. */
  readonly loss: Value;
  /** () mean squared error over [0, 1]. */
  readonly mse: Value;
  /** What the loss is differentiated by, of the parameters' shape. Default: the parameters themselves. */
  readonly by?: Value;
}

export interface Trainable {
  readonly name: string;
  readonly layout: ParameterLayout;
  initial(spec: ParameterSpec): Float32Array;
  /** Adds the network to the graph. @param parameters (layout.size) */
  forward(graph: Graph, parameters: Value): Forward;
  /** How many times the step's learning rate a tensor has. Default: once. */
  readonly rateOf?: (name: string) => number;
  /**
   * AdamW's (Loshchilov and Hutter, 2019): each step takes this share, times the learning rate, off every number.
   * Default 0.
   */
  readonly weightDecay?: number;
}

export class Optimizer {
  readonly #state: readonly [Float32Array, Float32Array, Float32Array];
  #steps = 0;

  private constructor(
    private readonly session: Session,
    private readonly network: Trainable,
    readonly parameters: Float32Array,
  ) {
    this.#state = [parameters, new Float32Array(parameters.length), new Float32Array(parameters.length)];
  }

  static async create(runtime: Runtime, network: Trainable): Promise<Optimizer> {
    const { layout } = network;
    const parameters = new Float32Array(layout.size);
    for (const spec of layout.specs) layout.view(parameters, spec.name).set(network.initial(spec));
    return new Optimizer(await runtime.createSession(prepareInPlace(stepModel(network))), network, parameters);
  }

  /** One step with the graph's other inputs in `feeds`. @returns the mean squared error before it */
  async step(feeds: Readonly<Record<string, HostTensor>>, learningRate: number): Promise<number> {
    this.#steps += 1;
    const [parameters, first, second] = this.#state.map((data) => float32(data, [data.length])) as [
      HostTensor,
      HostTensor,
      HostTensor,
    ];
    const mse = scalar(0);
    const decay =
      this.network.weightDecay === undefined ? {} : { kept: scalar(1 - learningRate * this.network.weightDecay) };
    await runInPlace(
      this.session,
      { parameters, first, second, rate: scalar(adamRate(learningRate, this.#steps, ADAM)), ...decay, ...feeds },
      { parameters_out: parameters, first_out: first, second_out: second, mse },
    );
    return asFloat32(mse)[0] as number;
  }

  /** Forgets what earlier steps were like: the parameters stay, Adam's moments begin anew. */
  restart(): void {
    this.#steps = 0;
    for (const moment of this.#state.slice(1)) moment.fill(0);
  }

  release(): Promise<void> {
    return this.session.release();
  }
}

/** Inputs: `parameters`, `first`, `second` (N), `rate` (), `kept` () with weight decay, and the network's own. */
function stepModel({ name, layout, forward, rateOf, weightDecay }: Trainable): Uint8Array {
  const graph = new Graph(`${name}-training-step`);
  const vector = (input: string): Value => graph.input(input, 'float32', [layout.size]);
  const [parameters, first, second] = [vector('parameters'), vector('first'), vector('second')];
  const rate = graph.input('rate', 'float32', []);
  const { loss, mse, by = parameters } = forward(graph, parameters);
  const gradient = gradients(loss, [by])[0] as Value;
  const rates =
    rateOf === undefined ? rate : ops.mul(rate, ops.constant(graph, float32(ratesOf(layout, rateOf), [layout.size])));
  const shrunk = weightDecay === undefined ? parameters : ops.mul(parameters, graph.input('kept', 'float32', []));
  const next = adamStep({ parameters: shrunk, first, second }, gradient, rates, ADAM);
  graph.output('parameters_out', next.parameters);
  graph.output('first_out', next.first);
  graph.output('second_out', next.second);
  graph.output('mse', mse);
  return graph.toOnnx();
}

function ratesOf(layout: ParameterLayout, rateOf: (name: string) => number): Float32Array {
  const rates = new Float32Array(layout.size);
  for (const { name } of layout.specs) layout.view(rates, name).fill(rateOf(name));
  return rates;
}
