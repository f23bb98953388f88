/** Continuous batching: sequences of any lengths that take a token each in one run, joining and leaving between runs. */
import type { HostTensor } from '../runtime/tensor.js';
import { ContextError, type Decoder } from './decoder.js';
import type { KvCache } from './kv-cache.js';
import { turn } from './turn.js';

/** Positions are added in steps of this many: each step copies what all rows hold. */
const STEP = 128;
/** Positions of all rows together whose memory is kept while nobody is there: two short conversations, as many as talk at once on a quiet day. */
const KEPT_POSITIONS = 2048;

/** Where a text goes on, one token at a time. */
export interface Sequence {
  /** Tokens whose keys and values are held. */
  readonly length: number;
  /**
   * Appends a token.
   * @param logits (V); overwritten with those after the token
   * @throws ContextError when it would grow past the context
   */
  step(token: number, logits: Float32Array): Promise<void>;
  /** Gives its place up. */
  leave(): void;
}

interface Row extends Sequence {
  length: number;
}

/** Rows that go on from what others of them were: see `reorder`. */
interface Move {
  readonly rows: readonly Row[];
  readonly parents: readonly number[];
  readonly from: number;
}

export interface DecoderBatchOptions {
  /**
   * Rows of the smallest run. A single row is multiplied in another order than several and differs in the last digits: with 2, which costs a
   * lone text some of its speed, a text never depends on what is written beside it. Default 1.
   */
  readonly leastRows?: number;
}

interface Wish {
  readonly token: number;
  readonly logits: Float32Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A run streams all weights from memory once, whatever the number of rows: several sequences cost little more than one.
 * Whoever asks for a step while another run is under way, or in the same turn of the event loop, takes part in the next run.
 */
export class DecoderBatch {
  readonly #leastRows: number;
  /** In the order of memory. */
  readonly #rows: Row[] = [];
  /** What happens to the rows before the next run: memory must stay as it is while one is under way. */
  readonly #joining = new Map<Row, KvCache>();
  readonly #leaving = new Set<Row>();
  #moves: Move[] = [];
  readonly #wishes = new Map<Row, Wish>();
  /** Per layer, key then value: room for (#room, kv_heads, #positions, head_dim). */
  #tensors: Float32Array<ArrayBuffer>[] = [];
  #room = 0;
  #positions = 0;
  #logits = new Float32Array();
  #running = false;

  constructor(
    readonly decoder: Decoder,
    { leastRows = 1 }: DecoderBatchOptions = {},
  ) {
    this.#leastRows = leastRows;
  }

  /** Sequences that have joined and not left. */
  get size(): number {
    return this.#rows.length + this.#joining.size - this.#leaving.size;
  }

  /** A sequence that goes on from a cache, of which the first step makes a copy. */
  join(cache: KvCache): Sequence {
    const row: Row = {
      length: cache.length,
      step: (token, logits) => this.#step(row, token, logits),
      leave: () => this.#leave(row),
    };
    this.#joining.set(row, cache);
    return row;
  }

  /**
   * Sequence i goes on from what sequence `parents[i]` was. Tokens before `from` are the same in all of them and stay where they are. Each must
   * have taken a step since it joined; it counts from their next step on.
   */
  reorder(sequences: readonly Sequence[], parents: readonly number[], from: number): void {
    if (parents.every((parent, index) => parent === index)) return;
    const rows = sequences.map((sequence) => this.#rows.find((row) => row === sequence));
    if (!rows.every((row) => row !== undefined)) throw new RangeError('only sequences that have taken a step can be reordered');
    this.#moves.push({ rows, parents, from });
  }

  /** Frees the memory, to be called between runs. Sequences that are still there cannot go on. */
  release(): void {
    for (const row of [...this.#joining.keys(), ...this.#rows]) this.#leave(row);
    this.#free();
  }

  #free(): void {
    this.#tensors = [];
    this.#room = this.#positions = 0;
    this.#logits = new Float32Array();
  }

  #step(row: Row, token: number, logits: Float32Array): Promise<void> {
    if (!this.#joining.has(row) && (!this.#rows.includes(row) || this.#leaving.has(row))) return Promise.reject(new RangeError('this sequence has left its batch'));
    const { context } = this.decoder;
    if (row.length >= context) return Promise.reject(new ContextError(row.length + 1, context));
    return new Promise((resolve, reject) => {
      this.#wishes.set(row, { token, logits, resolve, reject });
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      while (this.#wishes.size > 0) {
        // Those that were answered by the last run choose their next tokens first.
        await turn();
        const wishes = new Map(this.#wishes);
        this.#wishes.clear();
        this.#settle();
        if (wishes.size === 0) break;
        try {
          await this.#forward(wishes);
          for (const { resolve } of wishes.values()) resolve();
        } catch (error) {
          for (const { reject } of wishes.values()) reject(error);
        }
      }
    } finally {
      this.#running = false;
      this.#settle();
    }
  }

  /** Moves what is reordered, lets go who leaves and takes in who joins. */
  #settle(): void {
    for (const move of this.#moves) this.#move(move);
    this.#moves = [];
    for (const row of this.#leaving) this.#remove(row);
    this.#leaving.clear();
    if (this.#rows.length === 0 && this.#joining.size === 0 && this.#room * this.#positions > KEPT_POSITIONS) this.#free();
    for (const [row, cache] of this.#joining) {
      this.#reserve(this.#rows.length + 1, cache.length + 1);
      const { layers } = this.decoder.config;
      for (let layer = 0; layer < layers; layer++) {
        this.#copyIn(2 * layer, cache.key(layer), cache);
        this.#copyIn(2 * layer + 1, cache.value(layer), cache);
      }
      this.#rows.push(row);
    }
    this.#joining.clear();
  }

  async #forward(wishes: ReadonlyMap<Row, Wish>): Promise<void> {
    const asking = this.#toFront(wishes);
    const { vocab, eos } = this.decoder.config;
    const lengths = this.#rows.slice(0, asking).map(({ length }) => length);
    const tokens = this.#rows.slice(0, asking).map((row) => wishes.get(row)?.token ?? eos);
    // Rows that nobody reads fill the smallest run up. They write over what lies after their end, which a row that waits there does not miss.
    while (lengths.length < this.#leastRows) {
      lengths.push(Math.min(this.#rows[lengths.length]?.length ?? 0, this.decoder.context - 1));
      tokens.push(eos);
    }
    const rows = lengths.length;
    this.#reserve(Math.max(rows, this.#rows.length), 1 + Math.max(...lengths));
    if (this.#logits.length < rows * vocab) this.#logits = new Float32Array(this.#room * vocab);
    const logits = this.#logits.subarray(0, rows * vocab);
    await this.decoder.forwardRows(this.decoder.embed(tokens), lengths, (tensor) => this.#tensor(tensor, rows), logits);
    for (const [index, row] of this.#rows.slice(0, asking).entries()) {
      wishes.get(row)?.logits.set(logits.subarray(index * vocab, (index + 1) * vocab));
      row.length += 1;
    }
  }

  /** Brings the rows that ask before the others, which then cost nothing; gives their number. */
  #toFront(wishes: ReadonlyMap<Row, Wish>): number {
    let asking = 0;
    for (let index = 0; index < this.#rows.length; index++) {
      if (!wishes.has(this.#rows[index] as Row)) continue;
      if (index !== asking) this.#swap(index, asking);
      asking++;
    }
    return asking;
  }

  #swap(a: number, b: number): void {
    const [rowA, rowB] = [this.#rows[a] as Row, this.#rows[b] as Row];
    this.#rows[a] = rowB;
    this.#rows[b] = rowA;
    const { kv_heads, head_dim } = this.decoder.config;
    const size = this.#positions * head_dim;
    const length = Math.max(rowA.length, rowB.length) * head_dim;
    const kept = new Float32Array(length);
    for (const tensor of this.#tensors) {
      for (let head = 0; head < kv_heads; head++) {
        const [x, y] = [a, b].map((index) => (index * kv_heads + head) * size) as [number, number];
        kept.set(tensor.subarray(x, x + length));
        tensor.copyWithin(x, y, y + length);
        tensor.set(kept, y);
      }
    }
  }

  #move({ rows, parents, from }: Move): void {
    const places = rows.map((row) => this.#rows.indexOf(row));
    const { kv_heads, head_dim } = this.decoder.config;
    const length = (Math.max(...rows.map((row) => row.length)) - from) * head_dim;
    const moved = new Float32Array(rows.length * length);
    const start = (place: number, head: number): number => ((place * kv_heads + head) * this.#positions + from) * head_dim;
    for (const tensor of this.#tensors) {
      for (let head = 0; head < kv_heads; head++) {
        for (const [index, parent] of parents.entries()) {
          const at = start(places[parent] as number, head);
          moved.set(tensor.subarray(at, at + length), index * length);
        }
        for (const [index, place] of places.entries()) tensor.set(moved.subarray(index * length, (index + 1) * length), start(place, head));
      }
    }
  }

  #leave(row: Row): void {
    this.#wishes.get(row)?.reject(new RangeError('this sequence has left its batch'));
    this.#wishes.delete(row);
    if (!this.#joining.delete(row) && this.#rows.includes(row)) this.#leaving.add(row);
    if (!this.#running) this.#settle();
  }

  /** The last row takes the place of the one that leaves. */
  #remove(row: Row): void {
    const index = this.#rows.indexOf(row);
    const last = this.#rows.pop() as Row;
    if (last === row) return;
    this.#rows[index] = last;
    const { kv_heads, head_dim } = this.decoder.config;
    const size = this.#positions * head_dim;
    const from = this.#rows.length * kv_heads * size;
    const to = index * kv_heads * size;
    for (const tensor of this.#tensors) {
      for (let head = 0; head < kv_heads; head++) tensor.copyWithin(to + head * size, from + head * size, from + head * size + last.length * head_dim);
    }
  }

  #tensor(index: number, rows: number): HostTensor {
    const { kv_heads, head_dim } = this.decoder.config;
    const size = rows * kv_heads * this.#positions * head_dim;
    return { dtype: 'float32', dims: [rows, kv_heads, this.#positions, head_dim], data: (this.#tensors[index] as Float32Array).subarray(0, size) };
  }

  #copyIn(index: number, { data }: HostTensor, { length, capacity }: KvCache): void {
    const { kv_heads, head_dim } = this.decoder.config;
    const tensor = this.#tensors[index] as Float32Array;
    const first = this.#rows.length * kv_heads;
    for (let head = 0; head < kv_heads; head++) {
      const start = head * capacity * head_dim;
      tensor.set((data as Float32Array).subarray(start, start + length * head_dim), (first + head) * this.#positions * head_dim);
    }
  }

  /** Makes room, keeping what the rows hold. */
  #reserve(rows: number, positions: number): void {
    if (rows <= this.#room && positions <= this.#positions) return;
    const { kv_heads, head_dim, layers } = this.decoder.config;
    const oldPositions = this.#positions;
    while (this.#room < rows) this.#room = Math.max(1, 2 * this.#room);
    this.#positions = Math.max(this.#positions, Math.ceil(positions / STEP) * STEP);
    // One after another: all old and all new ones at once would be twice the memory of long conversations.
    for (let index = 0; index < 2 * layers; index++) {
      const old = this.#tensors[index];
      const tensor = new Float32Array(this.#room * kv_heads * this.#positions * head_dim);
      this.#tensors[index] = tensor;
      if (old === undefined) continue;
      for (const [at, { length }] of this.#rows.entries()) {
        for (let head = at * kv_heads; head < (at + 1) * kv_heads; head++) {
          const start = head * oldPositions * head_dim;
          tensor.set(old.subarray(start, start + length * head_dim), head * this.#positions * head_dim);
        }
      }
    }
  }
}
