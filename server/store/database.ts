import { closeSync, openSync } from 'node:fs';
import Database from 'libsql';
import { isDiskFull } from '../errors.js';
import { makePrivate, PRIVATE_MODE } from './files.js';

/** Each entry brings the schema one version up; entries are only ever appended. Times are seconds since 1970. */
export const migrations: readonly string[] = [
  `CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
   CREATE TABLE uploads (
     id TEXT PRIMARY KEY, size INTEGER, metadata TEXT NOT NULL, created_s REAL NOT NULL,
     finished INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE videos (
     id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, status TEXT NOT NULL, demo INTEGER NOT NULL DEFAULT 0,
     created_s REAL NOT NULL, source_file TEXT, source_bytes INTEGER, media TEXT, container TEXT,
     error_code TEXT, error_message TEXT
   ) STRICT;
   CREATE TABLE jobs (
     video_id TEXT PRIMARY KEY REFERENCES videos(id) ON DELETE CASCADE,
     sequence INTEGER NOT NULL, crashes INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE conversations (id TEXT PRIMARY KEY, created_s REAL NOT NULL) STRICT;
   CREATE TABLE items (
     id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
     position INTEGER NOT NULL, role TEXT NOT NULL, status TEXT NOT NULL, content TEXT NOT NULL, created_s REAL NOT NULL,
     UNIQUE (conversation_id, position)
   ) STRICT;`,
  `CREATE TABLE files (
     id TEXT PRIMARY KEY, owner TEXT, name TEXT NOT NULL, purpose TEXT NOT NULL, bytes INTEGER NOT NULL, created_s REAL NOT NULL
   ) STRICT;
   CREATE TABLE batches (
     id TEXT PRIMARY KEY, owner TEXT, sequence INTEGER NOT NULL, input_file TEXT NOT NULL, status TEXT NOT NULL, metadata TEXT,
     created_s REAL NOT NULL, expires_s REAL NOT NULL, times TEXT NOT NULL DEFAULT '{}', errors TEXT,
     total INTEGER NOT NULL DEFAULT 0, completed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
     output_file TEXT, error_file TEXT
   ) STRICT;
   CREATE TABLE batch_results (
     batch_id TEXT NOT NULL REFERENCES batches(id) ON DELETE CASCADE,
     line INTEGER NOT NULL, failed INTEGER NOT NULL, content TEXT NOT NULL,
     PRIMARY KEY (batch_id, line)
   ) STRICT, WITHOUT ROWID;`,
  // Rows from before are nobody's: who made them was not kept.
  `ALTER TABLE uploads ADD COLUMN owner TEXT;
   ALTER TABLE videos ADD COLUMN owner TEXT;
   ALTER TABLE conversations ADD COLUMN owner TEXT;`,
  // Ages are counted while the server runs: a clock that is wrong at a start ages nothing.
  `ALTER TABLE uploads ADD COLUMN idle_s REAL NOT NULL DEFAULT 0;
   ALTER TABLE uploads ADD COLUMN counted_bytes INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE files ADD COLUMN age_s REAL NOT NULL DEFAULT 0;
   ALTER TABLE batches ADD COLUMN ended_s REAL NOT NULL DEFAULT 0;`,
  // What an owner's conversations take is asked before each message.
  `ALTER TABLE conversations ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE conversations ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE conversations ADD COLUMN idle_s REAL NOT NULL DEFAULT 0;
   UPDATE conversations SET (messages, bytes) =
     (SELECT COUNT(*), COALESCE(SUM(LENGTH(CAST(content AS BLOB))), 0) FROM items WHERE conversation_id = conversations.id);
   CREATE INDEX conversations_by_owner ON conversations (owner, bytes);`,
];

export type SqlValue = string | number | null;

export interface StoreOptions {
  /** Frees a little of a full disk, so that something can be deleted. Gives false where there is nothing to free. */
  readonly giveReserve?: () => boolean;
}

/** A thin, typed layer over SQLite: one connection, held by one process. */
export class Store {
  readonly #db: Database.Database;
  readonly #lock: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();
  readonly #giveReserve: () => boolean;
  #inTransaction = false;

  private constructor(db: Database.Database, lock: Database.Database, giveReserve: () => boolean) {
    this.#db = db;
    this.#lock = lock;
    this.#giveReserve = giveReserve;
  }

  /**
   * Opens or creates the database file and brings its schema up to date.
   * A lock beside it is held as long as it is open: two servers on one data folder would run each other's jobs.
   */
  static open(file: string, { giveReserve = () => false }: StoreOptions = {}): Store {
    const lockFile = `${file}.lock`;
    for (const name of [lockFile, file]) makePrivateFile(name);
    const lock = takeLock(lockFile, file);
    try {
      const db = onFullDisk(() => connect(file), [giveReserve]);
      return new Store(db, lock, giveReserve);
    } catch (error) {
      releaseLock(lock);
      throw error;
    }
  }

  run(sql: string, ...values: SqlValue[]): number {
    return this.#statement(sql).run(values).changes;
  }

  /**
   * As `run`, for statements that delete: on a full disk they use the room of the log of changes again, and then the reserve's, since nothing
   * else could make room. Not inside a transaction, which has ended by then.
   */
  remove(sql: string, ...values: SqlValue[]): number {
    const work = (): number => this.run(sql, ...values);
    return this.#inTransaction ? work() : onFullDisk(work, [() => rewindLog(this.#db), this.#giveReserve]);
  }

  /** The first row, or null. The caller names the row's type, which its SQL decides. */
  get<Row>(sql: string, ...values: SqlValue[]): Row | null {
    return (this.#statement(sql).get(values) ?? null) as Row | null;
  }

  all<Row>(sql: string, ...values: SqlValue[]): Row[] {
    return this.#statement(sql).all(values) as Row[];
  }

  /** Runs `work` so that all of its writes happen or none. Throws what went wrong first. */
  transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    this.#inTransaction = true;
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      rollBack(this.#db);
      throw error;
    } finally {
      this.#inTransaction = false;
    }
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
    releaseLock(this.#lock);
  }

  #statement(sql: string): Database.Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function connect(file: string): Database.Database {
  const db = new Database(file);
  try {
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('PRAGMA synchronous = FULL');
    db.exec('PRAGMA foreign_keys = ON');
    migrate(db);
    // From here on changes have their places in the database, so that the log can be written from its start even where nothing can grow.
    rewindLog(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** SQLite gives the files beside a database the database's own permissions. */
function makePrivateFile(file: string): void {
  closeSync(openSync(file, 'a', PRIVATE_MODE));
  for (const name of [file, `${file}-wal`, `${file}-shm`]) makePrivate(name);
}

/** Brings the changes of the log into the database, after which the log is written from its start again. */
function rewindLog(db: Database.Database): boolean {
  try {
    db.exec('PRAGMA wal_checkpoint(RESTART)');
    return true;
  } catch {
    return false;
  }
}

/** @param remedies each makes some room, or gives false */
function onFullDisk<T>(work: () => T, remedies: readonly (() => boolean)[]): T {
  for (const remedy of remedies) {
    try {
      return work();
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      remedy();
    }
  }
  return work();
}

/** Where the disk is full, SQLite has ended the transaction by itself, and there is nothing to take back. What counts is why it failed. */
function rollBack(db: Database.Database): void {
  try {
    db.exec('ROLLBACK');
  } catch {
    // Ended already.
  }
}

/**
 * An empty database on which a transaction stays open: the system ends it with the process, however that ends, and frees
 * it at once on close, which a database with prepared statements does only when they are collected.
 */
function takeLock(lockFile: string, file: string): Database.Database {
  const lock = new Database(lockFile);
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return lock;
  } catch (error) {
    lock.close();
    if (error instanceof Error && /locked|busy/i.test(error.message)) {
      throw new Error(`Another server is using ${file}. Stop it, or start this one with another --data folder.`, { cause: error });
    }
    throw error;
  }
}

function releaseLock(lock: Database.Database): void {
  lock.exec('ROLLBACK');
  lock.close();
}

function migrate(db: Database.Database): void {
  const row = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (row.user_version > migrations.length) {
    throw new Error(`The data folder was written by a newer version of this program (schema ${row.user_version}). Update the program.`);
  }
  // Nothing is written where nothing is new: the disk may be full.
  if (row.user_version === migrations.length) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const sql of migrations.slice(row.user_version)) db.exec(sql);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
    db.exec('COMMIT');
  } catch (error) {
    rollBack(db);
    throw error;
  }
}
