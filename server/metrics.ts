import prometheus from 'prom-client';
import type { ReplyOutcome } from './inference/messages.js';

/** What has become of a reply, told when it has ended. Seconds count from when it was asked for. */
export interface ReplyRecord {
  /** null where the model never began. */
  readonly queue_s: number | null;
  /** null where no text came. */
  readonly firstToken_s: number | null;
  readonly total_s: number;
  readonly finish: ReplyOutcome['finish'] | 'failed';
  readonly usage: ReplyOutcome['usage'] | null;
  /** Nobody waited for it: its times say nothing about how long people wait. */
  readonly background: boolean;
}

/** What is looked up whenever the metrics are asked for. */
export interface Gauges {
  readonly replies: () => { readonly running: number; readonly waiting: number; readonly background: number };
  readonly batches: () => number;
  readonly encodes: () => { readonly running: number; readonly waiting: number; readonly seconds_left: number };
  readonly sockets: () => number;
}

/** Bounds of histograms, in seconds: finest where a person begins to notice. */
const firstTokenBuckets = [0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30, 60];
const wholeBuckets = [0.1, 0.3, 0.5, 1, 2, 5, 10, 20, 40, 60, 120, 300];
const perTokenBuckets = [0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1];
const requestBuckets = [0.001, 0.005, 0.02, 0.1, 0.5, 1, 5, 20, 60];
/** Seconds over which the speed of writing is averaged. */
const window_s = 10;

/**
 * What the server measures about itself, in Prometheus' form. Names after the prefix, and their meaning, are vLLM's
 * where it has them, so a dashboard made for one needs nothing but the other prefix.
 */
export class Metrics {
  readonly #registry = new prometheus.Registry();
  /** Tokens written in each of the last seconds. */
  readonly #seconds: { second: number; tokens: number }[] = [];
  readonly #firstToken;
  readonly #queue;
  readonly #total;
  readonly #perToken;
  readonly #finished;
  readonly #promptTokens;
  readonly #writtenTokens;
  readonly #prefixQueries;
  readonly #prefixHits;
  readonly #batchLines;
  readonly #requests;

  constructor(model: string, { replies, batches, encodes, sockets }: Gauges) {
    const registers = [this.#registry];
    this.#registry.setDefaultLabels({ model_name: model });
    prometheus.collectDefaultMetrics({ register: this.#registry });
    const gauge = (name: string, help: string, value: () => number): void => {
      const metric: prometheus.Gauge = new prometheus.Gauge({ name: `latentchat:${name}`, help, registers, collect: () => metric.set(value()) });
    };
    const counter = <Label extends string = never>(name: string, help: string, labelNames: readonly Label[] = []) =>
      new prometheus.Counter({ name: `latentchat:${name}`, help, labelNames, registers });
    const histogram = <Label extends string = never>(name: string, help: string, buckets: number[], labelNames: readonly Label[] = []) =>
      new prometheus.Histogram({ name: `latentchat:${name}`, help, buckets, labelNames, registers });

    gauge('num_requests_running', 'Replies that are being written.', () => replies().running);
    gauge('num_requests_waiting', 'Replies that wait for the model.', () => replies().waiting);
    gauge('avg_generation_throughput_toks_per_s', `Tokens written a second, over the last ${window_s} s.`, () => this.#speed());
    gauge('num_encodes_running', 'Videos that are being encoded.', () => encodes().running);
    gauge('num_encodes_waiting', 'Videos that wait for the encoder.', () => encodes().waiting);
    gauge('encode_seconds_left', 'Seconds that running encodes still need, as far as known, added up.', () => encodes().seconds_left);
    gauge('num_batches', 'Batches that are not finished.', batches);
    gauge('num_batch_requests_running', "Replies to batches' lines that are being written, or pause behind others.", () => replies().background);
    gauge('num_sockets', 'Open realtime sockets.', sockets);
    this.#firstToken = histogram('time_to_first_token_seconds', 'From the question to the first text of the answer.', firstTokenBuckets);
    this.#queue = histogram('request_queue_time_seconds', 'From the question to when the model begins to read it.', firstTokenBuckets);
    this.#total = histogram('e2e_request_latency_seconds', 'From the question to the end of the answer.', wholeBuckets);
    this.#perToken = histogram('time_per_output_token_seconds', 'Of an answer, for each token after its first.', perTokenBuckets);
    this.#finished = counter('request_success_total', 'Replies that ended, by how.', ['finished_reason']);
    this.#promptTokens = counter('prompt_tokens_total', 'Tokens of prompts.');
    this.#writtenTokens = counter('generation_tokens_total', 'Tokens of answers.');
    this.#prefixQueries = counter('prefix_cache_queries_total', 'Tokens of prompts that were looked for in the prefix cache.');
    this.#prefixHits = counter('prefix_cache_hits_total', 'Tokens of prompts that were found in the prefix cache.');
    this.#batchLines = counter('batch_requests_total', 'Lines of batches that have their result, by what it is.', ['outcome']);
    this.#requests = histogram('http_request_duration_seconds', 'HTTP requests.', requestBuckets, ['method', 'route', 'status']);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Everything, as text. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** A piece of an answer was written: one token, as far as can be seen from outside the model. */
  wrote(tokens = 1): void {
    const second = Math.floor(performance.now() / 1000);
    const last = this.#seconds.at(-1);
    if (last?.second === second) last.tokens += tokens;
    else this.#seconds.push({ second, tokens });
    while ((this.#seconds[0]?.second ?? second) <= second - window_s) this.#seconds.shift();
  }

  replied({ queue_s, firstToken_s, total_s, finish, usage, background }: ReplyRecord): void {
    if (!background) {
      this.#finished.inc({ finished_reason: finish });
      if (queue_s !== null) this.#queue.observe(queue_s);
      if (firstToken_s !== null) this.#firstToken.observe(firstToken_s);
      this.#total.observe(total_s);
    }
    if (!usage) return;
    this.#promptTokens.inc(usage.prompt_tokens);
    this.#writtenTokens.inc(usage.completion_tokens);
    this.#prefixQueries.inc(usage.prompt_tokens);
    this.#prefixHits.inc(usage.cached_tokens);
    if (!background && firstToken_s !== null && usage.completion_tokens > 1) this.#perToken.observe((total_s - firstToken_s) / (usage.completion_tokens - 1));
  }

  batchLine(outcome: 'completed' | 'failed'): void {
    this.#batchLines.inc({ outcome });
  }

  /** @param route as registered, so that ids make no series of their own */
  requested(method: string, route: string, status: number, seconds: number): void {
    this.#requests.observe({ method, route, status }, seconds);
  }

  #speed(): number {
    const now = Math.floor(performance.now() / 1000);
    return this.#seconds.reduce((sum, { second, tokens }) => (second > now - window_s ? sum + tokens : sum), 0) / window_s;
  }
}
