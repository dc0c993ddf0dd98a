// The bearer token of the control port: a file of the state directory that only its owner can read.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { toMessage } from '../../src/core/errors.ts';

/** A shorter secret (an empty or torn file, a person's idea of one) lets nobody in. */
const MIN_TOKEN_CHARS = 32;

/**
 * Compares what a caller sends with what the file holds now: the file is read again when it changes, so a token is
 * replaced by writing the file. Without a readable token every write is refused.
 */
export class TokenFile {
  readonly path: string;
  #stamp = '';
  #hash: Buffer | null = null;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Makes the file (32 random bytes, mode 0600) unless there is one. Returns why that failed, null when all is well.
   * The finished file is linked into place, so a crash or a second process never leaves half a token.
   */
  ensure(): string | null {
    try {
      mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
      if (this.#read() !== null) return null;
      const temporary = `${this.path}.${randomBytes(6).toString('hex')}.tmp`;
      writeFileSync(temporary, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' });
      try {
        chmodSync(temporary, 0o600); // whatever the umask
        linkSync(temporary, this.path);
      } catch (error) {
        // Another process was first: its token holds. Volumes without hard links: a rename is whole too.
        if (!hasCode(error, 'EEXIST')) renameSync(temporary, this.path);
      } finally {
        rmSync(temporary, { force: true });
      }
      return this.#read() === null ? `${this.path} holds no token of at least ${MIN_TOKEN_CHARS} characters` : null;
    } catch (error) {
      return toMessage(error);
    }
  }

  /** In constant time: both sides are hashed first, so neither length nor content shows. */
  matches(candidate: string): boolean {
    const hash = this.#read();
    return hash !== null && timingSafeEqual(hash, toHash(candidate));
  }

  #read(): Buffer | null {
    try {
      const { mtimeMs, ino, size } = statSync(this.path);
      const stamp = `${ino} ${size} ${mtimeMs}`;
      if (stamp !== this.#stamp) {
        const token = size <= 4096 ? readFileSync(this.path, 'utf8').trim() : '';
        this.#hash = token.length >= MIN_TOKEN_CHARS ? toHash(token) : null;
        this.#stamp = stamp;
      }
    } catch {
      // Gone or unreadable: nobody gets in. A missing token file is said at start by `ensure`.
      this.#hash = null;
      this.#stamp = '';
    }
    return this.#hash;
  }
}

function toHash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
