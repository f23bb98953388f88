/** A model pack: a manifest and the files it names, each checked against its sha256 before anything is made of it. */
import type { WeightBytes } from './bytes.js';
import { PackError, type PackManifest } from './manifest.js';
import { readSafetensors } from './safetensors.js';
import type { TensorFile } from './tensor-file.js';

/** Where a pack's bytes come from: a folder in Node, a server in the browser. */
export interface PackSource {
  /** For messages: the folder or address. */
  readonly where: string;
  /** The bytes of one file. @throws Error when there is no such file. */
  read(name: string): Promise<Uint8Array>;
  /** SHA-256 in lower-case hexadecimal. */
  sha256(bytes: Uint8Array): Promise<string>;
  /** A file to be read in parts, with its SHA-256; where files may be too large for memory. @throws as read. */
  open?(name: string): Promise<{ readonly bytes: WeightBytes; sha256(): Promise<string> }>;
}

/** Weight files beyond this size are read tensor by tensor: twice, once for their sha256, but never held as a whole. */
const LARGE_FILE_BYTES = 2 ** 27;

export class ModelPack {
  constructor(
    readonly manifest: PackManifest,
    private readonly source: PackSource,
  ) {}

  /** The pack's folder or address, for messages. */
  get where(): string {
    return this.source.where;
  }

  has(file: string): boolean {
    return Object.hasOwn(this.manifest.files, file);
  }

  /**
   * The bytes of one file of the pack, checked. Not kept: hold on to what is needed more than once.
   * @throws PackError naming the file when the manifest has none of that name, or its size or sha256 differs
   */
  async bytes(file: string): Promise<Uint8Array> {
    const expected = this.expected(file);
    const bytes = await this.source.read(file);
    this.checkSize(file, bytes.byteLength, expected.bytes);
    this.checkHash(file, await this.source.sha256(bytes), expected.sha256);
    return bytes;
  }

  /** A UTF-8 file of the pack. */
  async text(file: string): Promise<string> {
    return new TextDecoder('utf-8', { fatal: true }).decode(await this.bytes(file));
  }

  /**
   * The tensors of a safetensors file of the pack, which is checked as a whole before.
   * @throws as `bytes`; SafetensorsError when the file is not what its name says
   */
  async tensors(file: string): Promise<TensorFile> {
    const expected = this.expected(file);
    if (expected.bytes <= LARGE_FILE_BYTES || this.source.open === undefined) return readSafetensors(await this.bytes(file), file);
    const { bytes, sha256 } = await this.source.open(file);
    this.checkSize(file, bytes.size, expected.bytes);
    this.checkHash(file, await sha256(), expected.sha256);
    return readSafetensors(bytes, file);
  }

  private expected(file: string): { readonly bytes: number; readonly sha256: string } {
    const expected = this.has(file) ? this.manifest.files[file] : undefined;
    if (expected === undefined) throw new PackError(`the pack in ${this.where} has no file "${file}"`);
    return expected;
  }

  private checkSize(file: string, found: number, expected: number): void {
    if (found !== expected) throw new PackError(`${file} in ${this.where} has ${found} bytes, pack.json says ${expected}: fetch the pack again`, { code: 'pack_damaged' });
  }

  private checkHash(file: string, found: string, expected: string): void {
    if (found !== expected) throw new PackError(`${file} in ${this.where} was altered: its sha256 is ${found}, pack.json says ${expected}. Fetch the pack again`, { code: 'pack_damaged' });
  }
}
