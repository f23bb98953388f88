import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { writeAtomically } from '../../model/runtime/durable.node.js';
import { newId, now_s } from '../ids.js';
import { PRIVATE_MODE } from '../store/files.js';

/** A key as it is kept. The key itself is shown once, when it is made, and is nowhere afterwards. */
const ApiKeySchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  /** Hex. A plain hash is enough: the key has 256 random bits, so there is nothing to guess it from. */
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  created_s: Type.Number(),
  /** null: the server's limit. */
  requestsPerMinute: Type.Union([Type.Number({ minimum: 1 }), Type.Null()]),
  concurrent: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]),
  /** Sees and may remove what belongs to other keys. Absent in files from before there were operators. */
  operator: Type.Optional(Type.Boolean()),
});
export type ApiKey = Readonly<Static<typeof ApiKeySchema>>;

const FileSchema = Compile(Type.Object({ keys: Type.Array(ApiKeySchema, { maxItems: 10_000 }) }));

/** What every key begins with, so that a leaked one is recognised by those who scan for them. */
const KEY_PREFIX = 'lck_';

export interface NewKey {
  /** For people: whose it is. */
  readonly name: string;
  readonly requestsPerMinute?: number | null;
  readonly concurrent?: number | null;
  readonly operator?: boolean;
}

/** The keys of a data folder, in a file of their own: the command line changes it while the server runs. */
export class KeyFile {
  readonly file: string;

  constructor(dataDir: string) {
    this.file = path.join(dataDir, 'keys.json');
  }

  /** @throws Error naming the file when it is damaged: then nobody is let in, rather than everybody */
  async list(): Promise<ApiKey[]> {
    let text: string;
    try {
      text = await readFile(this.file, 'utf8');
    } catch (error) {
      if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
    const damaged = (cause?: unknown): Error => new Error(`${this.file} is damaged. Restore it, or remove it and add the keys again.`, { cause });
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch (error) {
      throw damaged(error);
    }
    if (!FileSchema.Check(parsed)) throw damaged();
    return parsed.keys;
  }

  /** Makes a key; `secret` is the key itself, which cannot be shown again. */
  async add({ name, requestsPerMinute = null, concurrent = null, operator = false }: NewKey): Promise<{ key: ApiKey; secret: string }> {
    const secret = KEY_PREFIX + randomBytes(32).toString('base64url');
    const key: ApiKey = { id: newId('key'), name, sha256: hashOf(secret), created_s: now_s(), requestsPerMinute, concurrent, operator };
    await this.#write([...(await this.list()), key]);
    return { key, secret };
  }

  /** Removes keys by id or name; gives those that were removed. */
  async remove(idOrName: string): Promise<ApiKey[]> {
    const keys = await this.list();
    const removed = keys.filter((key) => key.id === idOrName || key.name === idOrName);
    if (removed.length > 0) await this.#write(keys.filter((key) => !removed.includes(key)));
    return removed;
  }

  async #write(keys: readonly ApiKey[]): Promise<void> {
    await writeAtomically(this.file, `${JSON.stringify({ keys }, null, 2)}\n`, { makeFolder: true, mode: PRIVATE_MODE });
  }
}

export function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
