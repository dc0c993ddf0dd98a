// Who may write: checked before any route is looked at, so that no trick with a path can go round it.
import type { Sessions } from './sessions.ts';
import type { TokenFile } from './token.ts';

export interface AccessRequest {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
}

export type Access =
  | { readonly kind: 'granted'; readonly by: 'nobody' | 'token' | 'session' }
  | {
      readonly kind: 'refused';
      readonly status: 401 | 403 | 429;
      readonly reason: string;
      readonly isCounted: boolean;
    };

/** Failed logins at once, and per second after that. */
const FAILURES_AT_ONCE = 10;
const FAILURES_PER_S = 1;

/**
 * - `Host` must be localhost, 127.0.0.1 or [::1], with any port (a port-forward chooses its own): a page that rebinds
 *   its name to loopback still sends that name.
 * - `Origin`, where there is one, must be that host: no foreign page may write, nor read.
 * - Everything but GET and HEAD needs the token, or a session together with an `Origin` (a form of another site
 *   cannot have ours).
 * - Failures are rate limited. A valid token always passes, so a neighbour cannot lock anyone out.
 */
export class AccessControl {
  readonly #token: Pick<TokenFile, 'matches'>;
  readonly #sessions: Sessions;
  #failures = 0;
  #failedAtMs = 0;

  constructor(token: Pick<TokenFile, 'matches'>, sessions: Sessions) {
    this.#token = token;
    this.#sessions = sessions;
  }

  check(request: AccessRequest, nowMs: number): Access {
    const host = (request.host ?? '').toLowerCase();
    if (!/^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d{1,5})?$/.test(host)) {
      return { kind: 'refused', status: 403, reason: 'the Host header is not a loopback name', isCounted: true };
    }
    const { origin } = request;
    if (origin !== undefined && origin.toLowerCase() !== `http://${host}`) {
      return { kind: 'refused', status: 403, reason: 'the Origin header is of another site', isCounted: true };
    }
    if (request.method === 'GET' || request.method === 'HEAD') return { kind: 'granted', by: 'nobody' };
    const token = /^bearer +(\S+)$/i.exec(request.authorization ?? '')?.[1];
    if (token !== undefined && this.#token.matches(token)) return { kind: 'granted', by: 'token' };
    if (origin !== undefined && request.cookie !== undefined && this.#sessions.matches(request.cookie, nowMs)) {
      return { kind: 'granted', by: 'session' };
    }
    const leakedMs = Math.max(0, nowMs - this.#failedAtMs);
    this.#failures = Math.max(0, this.#failures - (leakedMs / 1000) * FAILURES_PER_S);
    this.#failedAtMs = nowMs;
    if (this.#failures >= FAILURES_AT_ONCE) {
      return { kind: 'refused', status: 429, reason: 'too many writes without a valid token', isCounted: false };
    }
    this.#failures++;
    return { kind: 'refused', status: 401, reason: 'a write needs the token of the state directory', isCounted: true };
  }
}
