/** A model pack: a manifest and the files it names, each checked against its sha256 before anything is made of it. */
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
}

export class ModelPack {
  constructor(
    readonly manifest: PackManifest,
    private readonly source: PackSource,
  ) {}

  /**
   * Opens the pack in `folder` (Node only; a browser gives the constructor a source of its own).
   * @param folder default: `weights/default` of this package
   * @throws PackError when pack.json is absent or not valid
   */
  static async open(folder?: string): Promise<ModelPack> {
    const { openFolder } = await import('./open.node.js');
    return openFolder(folder);
  }

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
    const expected = this.has(file) ? this.manifest.files[file] : undefined;
    if (expected === undefined) throw new PackError(`the pack in ${this.where} has no file "${file}"`);
    const bytes = await this.source.read(file);
    if (bytes.byteLength !== expected.bytes) {
      throw new PackError(`${file} in ${this.where} has ${bytes.byteLength} bytes, pack.json says ${expected.bytes}: fetch the pack again`);
    }
    const sha256 = await this.source.sha256(bytes);
    if (sha256 !== expected.sha256) {
      throw new PackError(`${file} in ${this.where} was altered: its sha256 is ${sha256}, pack.json says ${expected.sha256}. Fetch the pack again`);
    }
    return bytes;
  }

  /** A UTF-8 file of the pack. */
  async text(file: string): Promise<string> {
    return new TextDecoder('utf-8', { fatal: true }).decode(await this.bytes(file));
  }

  /** The tensors of a safetensors file of the pack. */
  async tensors(file: string): Promise<TensorFile> {
    return readSafetensors(await this.bytes(file), file);
  }
}
