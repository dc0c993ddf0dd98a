// Cookies for the page, bought with the token. In memory: a restart logs everyone out.
import { createHash, randomBytes } from 'node:crypto';

const SESSION_COOKIE = 'morphling_session';
export const SESSION_S = 12 * 3600;

/** Sessions at once; the oldest gives way. */
const MAX_SESSIONS = 32;

export class Sessions {
  /** Hash of the secret to the time it ends: whoever reads our memory image finds no cookie to use. */
  readonly #endsMs = new Map<string, number>();

  /** The value for `Set-Cookie`. */
  open(nowMs: number): string {
    const secret = randomBytes(32).toString('base64url');
    this.#endsMs.set(toKey(secret), nowMs + SESSION_S * 1000);
    const oldest = this.#endsMs.keys().next();
    if (this.#endsMs.size > MAX_SESSIONS && oldest.done !== true) this.#endsMs.delete(oldest.value);
    return `${SESSION_COOKIE}=${secret}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${SESSION_S}`;
  }

  /** True for a `Cookie` header that holds an open session. Looked up by hash, so timing shows nothing of the secret. */
  matches(cookieHeader: string, nowMs: number): boolean {
    for (const part of cookieHeader.split(';').slice(0, 50)) {
      const [name, secret] = part.trim().split('=', 2);
      if (name !== SESSION_COOKIE || secret === undefined) continue;
      const endsMs = this.#endsMs.get(toKey(secret));
      if (endsMs !== undefined && nowMs < endsMs) return true;
    }
    return false;
  }
}

function toKey(secret: string): string {
  return createHash('sha256').update(secret).digest('base64');
}
