/** Weight files as bytes that are read in parts: a checkpoint of several gigabytes is never in memory as a whole. */

/** Bytes of a weight file. Reading is synchronous: tensors are asked for one by one while a graph is built. */
export interface WeightBytes {
  /** Length in bytes. */
  readonly size: number;
  /**
   * The bytes from `start` to before `end`, which lie within `size`; a view where the file is in memory.
   * @throws Error naming the file when it was cut short meanwhile.
   */
  read(start: number, end: number): Uint8Array;
}

/** A file that is in memory already. */
export function memoryBytes(bytes: Uint8Array): WeightBytes {
  return { size: bytes.byteLength, read: (start, end) => bytes.subarray(start, end) };
}
