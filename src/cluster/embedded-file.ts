/**
 * How do the embedded store's keys survive a restart? One SQLite file, one row a key, and one row that keeps revisions
 * from going back:
 *
 *     metadata   key · value · mod_revision        without leased keys: no lease outlives the process
 *     state      'revisions used', n               every revision handed out is at most n
 *
 * n is written in steps ahead of use, as producer ids are, so that a change that only touches leased keys costs no
 * fsync. A store opens at n: later than anything a broker can have seen (I4), with at most `revisionStep` skipped.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Revision, revision } from '../model/brands.ts';
import type { CommittedRevision, RevisionEntry } from './revision-store.ts';
import { StoreCannotOpen } from './store-cannot-open.ts';

/** 'Cord', so that `file` and we know one of ours. */
const applicationId = 0x43_6f_72_64;
const formatVersion = 1;
const revisionStep = 1024;

const busyErrcode = 5;
const notADatabaseErrcode = 26;

async function loadSqlite(path: string): Promise<typeof import('node:sqlite')> {
  try {
    return await import('node:sqlite');
  } catch (error) {
    const reason = `this Node (${process.version}) was built without node:sqlite; use Node 24 or later, or name an etcd`;
    throw new StoreCannotOpen(path, reason, error);
  }
}

function reasonOf(error: unknown): string {
  const { errcode, message } = error as { errcode?: number; message?: string };
  if (errcode === busyErrcode) return 'another process uses it';
  if (errcode === notADatabaseErrcode) return 'it is not an SQLite file, or it is damaged';
  return message ?? String(error);
}

export class EmbeddedFile {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #delete: StatementSync;
  readonly #reserve: StatementSync;
  #reserved: Revision;

  private constructor(database: DatabaseSync) {
    this.#database = database;
    this.#put = database.prepare('INSERT OR REPLACE INTO metadata VALUES (?, ?, ?)');
    this.#delete = database.prepare('DELETE FROM metadata WHERE key = ?');
    this.#reserve = database.prepare(`UPDATE state SET value = ? WHERE name = 'revisions used'`);
    const row = database.prepare(`SELECT value FROM state WHERE name = 'revisions used'`).get();
    this.#reserved = revision(Number(row?.value));
  }

  /** Opens or makes the file; its directory must be there. Throws `StoreCannotOpen`. */
  static async open(path: string): Promise<EmbeddedFile> {
    const { DatabaseSync } = await loadSqlite(path);
    let database: DatabaseSync | null = null;
    try {
      database = new DatabaseSync(path, { timeout: 0 });
      // The exclusive lock is held from the first read to the end of the process: two processes never share a file.
      // FULL syncs the WAL at each commit, which is what makes an answered transaction durable.
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      prepareFormat(path, database);
      return new EmbeddedFile(database);
    } catch (error) {
      database?.close();
      throw error instanceof StoreCannotOpen ? error : new StoreCannotOpen(path, reasonOf(error), error);
    }
  }

  /** The revision the store starts from. */
  get revision(): Revision {
    return this.#reserved;
  }

  entries(): [string, RevisionEntry][] {
    const rows = this.#database.prepare('SELECT key, value, mod_revision FROM metadata').all();
    return rows.map((row) => [
      String(row.key),
      { value: String(row.value), modRevision: revision(Number(row.mod_revision)), lease: null },
    ]);
  }

  /** Makes revisions durable together, or throws with none of them in the file (as far as one can know). */
  commit(revisions: readonly CommittedRevision[]): void {
    const last = revisions.at(-1);
    if (!last) return;
    const isDurable = revisions.some(({ changes }) => changes.some((change) => isStored(change.after, change.before)));
    if (!isDurable && last.revision <= this.#reserved) return;
    const reserved = last.revision <= this.#reserved ? this.#reserved : revision(last.revision + revisionStep);
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      for (const { revision: at, changes } of revisions)
        for (const { key, after, before } of changes) {
          if (after && after.lease === null) this.#put.run(key, after.value, at);
          else if (before && before.lease === null) this.#delete.run(key);
        }
      if (reserved !== this.#reserved) this.#reserve.run(reserved);
      this.#database.exec('COMMIT');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
    this.#reserved = reserved;
  }

  close(): void {
    this.#database.close();
  }
}

const isStored = (after: RevisionEntry | null, before: RevisionEntry | null): boolean =>
  after?.lease === null || before?.lease === null;

function prepareFormat(path: string, database: DatabaseSync): void {
  const id = Number(database.prepare('PRAGMA application_id').get()?.application_id);
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
  if (id === applicationId && version === formatVersion) return;
  const isEmpty = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.tables === 0;
  if (!isEmpty && id !== applicationId) throw new StoreCannotOpen(path, 'it is an SQLite file of another program');
  if (!isEmpty)
    throw new StoreCannotOpen(path, `its format is ${version}, this version of Cordwood reads format ${formatVersion}`);
  database.exec(`
    BEGIN IMMEDIATE;
    PRAGMA application_id = ${applicationId};
    PRAGMA user_version = ${formatVersion};
    CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL, mod_revision INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO state VALUES ('revisions used', 0);
    COMMIT`);
}
