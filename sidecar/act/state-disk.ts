// The few things a state store asks of a disk; tests give it one that is full or read-only.
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, stat, unlink, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface StateDisk {
  /** Null when there is no such file; throws when it is larger than `maxBytes`. */
  read(path: string, maxBytes: number): Promise<Buffer | null>;
  /** Whole or not at all, also over a crash: when it resolves, the bytes are on the disk under `path`. */
  replace(dir: string, path: string, bytes: Buffer): Promise<void>;
  /** Removes temporary files that a crash left behind. */
  removeStale(dir: string, prefix: string): Promise<void>;
}

const TEMPORARY = '.tmp';

export const nodeStateDisk: StateDisk = {
  async read(path, maxBytes) {
    try {
      const { size } = await stat(path);
      if (size > maxBytes) throw new Error(`${size} bytes, at most ${maxBytes} are read`);
      return await readFile(path);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  },

  async replace(dir, path, bytes) {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    // The random part keeps two processes that share a folder by mistake from writing into one file.
    const temporary = `${path}.${randomUUID()}${TEMPORARY}`;
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await unlink(temporary).catch(() => {
        // It may never have been made; if it was, the next start removes it.
      });
      throw error;
    }
    // Without this the rename itself may be lost with the power.
    const folder = await open(dirname(path), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },

  async removeStale(dir, prefix) {
    for (const name of await readdir(dir)) {
      if (name.startsWith(prefix) && name.endsWith(TEMPORARY)) await unlink(join(dir, name));
    }
  },
};

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
