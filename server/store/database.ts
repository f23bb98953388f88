import Database from 'libsql';

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
];

export type SqlValue = string | number | null;

/** A thin, typed layer over SQLite: one connection, held by one process. */
export class Store {
  readonly #db: Database.Database;
  readonly #lock: Database.Database;
  readonly #statements = new Map<string, Database.Statement>();

  private constructor(db: Database.Database, lock: Database.Database) {
    this.#db = db;
    this.#lock = lock;
  }

  /**
   * Opens or creates the database file and brings its schema up to date.
   * A lock beside it is held as long as it is open: two servers on one data folder would run each other's jobs.
   */
  static open(file: string): Store {
    const lock = takeLock(`${file}.lock`, file);
    try {
      const db = new Database(file);
      db.exec('PRAGMA journal_mode = WAL');
      db.exec('PRAGMA synchronous = FULL');
      db.exec('PRAGMA foreign_keys = ON');
      migrate(db);
      return new Store(db, lock);
    } catch (error) {
      releaseLock(lock);
      throw error;
    }
  }

  run(sql: string, ...values: SqlValue[]): number {
    return this.#statement(sql).run(values).changes;
  }

  /** The first row, or null. The caller names the row's type, which its SQL decides. */
  get<Row>(sql: string, ...values: SqlValue[]): Row | null {
    return (this.#statement(sql).get(values) ?? null) as Row | null;
  }

  all<Row>(sql: string, ...values: SqlValue[]): Row[] {
    return this.#statement(sql).all(values) as Row[];
  }

  /** Runs `work` so that all of its writes happen or none. */
  transaction<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
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
  db.exec('BEGIN IMMEDIATE');
  try {
    for (const sql of migrations.slice(row.user_version)) db.exec(sql);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
    db.exec('COMMIT');
  } catch (error) {
    db.exec('ROLLBACK');
    throw error;
  }
}
