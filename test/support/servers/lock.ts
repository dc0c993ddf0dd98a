// One holder at a time among processes that share a folder, without a lock that outlives a crash.
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 500;

/**
 * Waits until nobody else holds the lock of that file and returns its holding. The lock is the file lock under an
 * SQLite transaction, so the kernel gives it up when its holder dies: no stale lock, no guess by age or process id.
 * `onWait` is called once, when it is taken at first.
 */
export async function acquireLock(file: string, onWait: () => void): Promise<Disposable> {
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    for (let turn = 0; ; turn += 1) {
      try {
        database.exec('BEGIN EXCLUSIVE');
        return { [Symbol.dispose]: () => database.close() };
      } catch (error) {
        if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
        if (turn === 0) onWait();
        await sleep(POLL_MS);
      }
    }
  } catch (error) {
    database.close();
    throw error;
  }
}

/** https://www.sqlite.org/rescode.html#busy */
const SQLITE_BUSY = 5;
