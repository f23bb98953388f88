/** The keys and values of a sequence's tokens, or of several sequences of one length, kept in place across runs. */
import type { LanguageConfig } from '../pack/manifest.js';
import type { HostTensor } from '../runtime/tensor.js';

/** Positions are allocated in steps of this many, so that a few tokens more than planned cost no copy. */
const STEP = 64;

export class KvCache {
  /** Tokens whose keys and values are held. */
  length = 0;
  private positions = 0;
  /** Per layer, key then value: (rows, kv_heads, capacity, head_dim). */
  private tensors: HostTensor[];

  /**
   * @param capacity positions to make room for at once; more are added as they are needed
   * @param rows sequences that go on side by side
   */
  constructor(
    private readonly config: LanguageConfig,
    capacity = 0,
    readonly rows = 1,
  ) {
    this.tensors = this.allocate(capacity);
  }

  get capacity(): number {
    return this.positions;
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
    this.copyRows(old, oldCapacity);
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
    const copy = new KvCache(this.config, Math.max(capacity, length), this.rows);
    copy.length = length;
    copy.copyRows(this.tensors, this.capacity);
    return copy;
  }

  /** The only sequence of this cache, `rows` times side by side, with room for `capacity` tokens each. */
  spread(rows: number, capacity: number): KvCache {
    if (this.rows !== 1) throw new RangeError(`a cache of ${this.rows} sequences cannot be spread`);
    const copy = new KvCache(this.config, Math.max(capacity, this.length), rows);
    copy.length = this.length;
    copy.copyRows(this.tensors, this.capacity);
    return copy;
  }

  /**
   * Row i goes on from what row parents[i] was. Tokens before `from` are the same in all rows and stay where they are.
   */
  reorder(parents: readonly number[], from: number): void {
    if (parents.every((parent, row) => parent === row)) return;
    const { kv_heads, head_dim } = this.config;
    const size = (this.length - from) * head_dim;
    const rowSize = kv_heads * this.positions * head_dim;
    const moved = new Float32Array(this.rows * size);
    for (const tensor of this.tensors) {
      const data = tensor.data as Float32Array;
      for (let head = 0; head < kv_heads; head++) {
        const start = (head * this.positions + from) * head_dim;
        for (const [row, parent] of parents.entries()) {
          moved.set(data.subarray(parent * rowSize + start, parent * rowSize + start + size), row * size);
        }
        for (let row = 0; row < this.rows; row++) data.set(moved.subarray(row * size, (row + 1) * size), row * rowSize + start);
      }
    }
  }

  private allocate(positions: number): HostTensor[] {
    this.positions = Math.ceil(positions / STEP) * STEP;
    const { kv_heads, head_dim, layers } = this.config;
    const dims = [this.rows, kv_heads, this.positions, head_dim];
    return Array.from({ length: 2 * layers }, () => ({
      dtype: 'float32' as const,
      dims,
      data: new Float32Array(this.rows * kv_heads * this.positions * head_dim),
    }));
  }

  /** Copies this.length tokens of every row from tensors with room for `fromCapacity`; from one row into all. */
  private copyRows(from: readonly HostTensor[], fromCapacity: number): void {
    const { kv_heads, head_dim } = this.config;
    const size = this.length * head_dim;
    const heads = this.rows * kv_heads;
    for (const [index, tensor] of this.tensors.entries()) {
      const source = from[index] as HostTensor;
      const sourceHeads = (source.dims[0] as number) * kv_heads;
      const [values, target] = [source.data as Float32Array, tensor.data as Float32Array];
      for (let head = 0; head < heads; head++) {
        const start = (head % sourceHeads) * fromCapacity * head_dim;
        target.set(values.subarray(start, start + size), head * this.positions * head_dim);
      }
    }
  }
}
