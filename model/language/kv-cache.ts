/** The keys and values of a sequence's tokens, kept in place across runs. */
import type { LanguageConfig } from '../pack/manifest.js';
import type { HostTensor } from '../runtime/tensor.js';

/** Positions are allocated in steps of this many, so that a few tokens more than planned cost no copy. */
const STEP = 64;

export class KvCache {
  /** Tokens whose keys and values are held. */
  length = 0;
  private positions = 0;
  /** Per layer, key then value: (1, kv_heads, capacity, head_dim). */
  private tensors: HostTensor[];

  /** @param capacity positions to make room for at once; more are added as they are needed */
  constructor(
    private readonly config: LanguageConfig,
    capacity = 0,
  ) {
    this.tensors = this.allocate(capacity);
  }

  get capacity(): number {
    return this.positions;
  }

  /** Memory that the keys and values of a token take. */
  static bytesPerToken({ layers, kv_heads, head_dim }: LanguageConfig): number {
    return layers * 2 * kv_heads * head_dim * Float32Array.BYTES_PER_ELEMENT;
  }

  /** Memory held, in bytes. */
  get bytes(): number {
    return this.tensors.reduce((sum, { data }) => sum + data.byteLength, 0);
  }

  key(layer: number): HostTensor {
    return this.tensors[2 * layer] as HostTensor;
  }

  value(layer: number): HostTensor {
    return this.tensors[2 * layer + 1] as HostTensor;
  }

  /** Makes room for `positions` tokens in all. */
  reserve(positions: number): void {
    if (positions <= this.capacity) return;
    const { tensors: old, capacity: oldCapacity } = this;
    this.tensors = this.allocate(positions);
    this.copyFrom(old, oldCapacity);
  }

  /** Forgets the tokens from position `length` on. */
  truncate(length: number): void {
    if (length < 0 || length > this.length) throw new RangeError(`cannot cut a cache of ${this.length} tokens to ${length}`);
    this.length = length;
  }

  /**
   * An independent copy of the first `length` tokens, with room for `capacity`. Conversations that share the same
   * beginning go on from forks.
   */
  fork(length = this.length, capacity = length): KvCache {
    if (length > this.length) throw new RangeError(`cannot fork ${length} tokens of a cache of ${this.length}`);
    const copy = new KvCache(this.config, Math.max(capacity, length));
    copy.length = length;
    copy.copyFrom(this.tensors, this.capacity);
    return copy;
  }

  private allocate(positions: number): HostTensor[] {
    this.positions = Math.ceil(positions / STEP) * STEP;
    const { kv_heads, head_dim, layers } = this.config;
    const dims = [1, kv_heads, this.positions, head_dim];
    return Array.from({ length: 2 * layers }, () => ({
      dtype: 'float32' as const,
      dims,
      data: new Float32Array(kv_heads * this.positions * head_dim),
    }));
  }

  /** Copies this.length tokens from tensors with room for `fromCapacity`. */
  private copyFrom(from: readonly HostTensor[], fromCapacity: number): void {
    const { kv_heads, head_dim } = this.config;
    const size = this.length * head_dim;
    for (const [index, tensor] of this.tensors.entries()) {
      const [values, target] = [(from[index] as HostTensor).data as Float32Array, tensor.data as Float32Array];
      for (let head = 0; head < kv_heads; head++) {
        const start = head * fromCapacity * head_dim;
        target.set(values.subarray(start, start + size), head * this.positions * head_dim);
      }
    }
  }
}
