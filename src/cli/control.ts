// The way to an agent: where its control port is, and the token that opens its writes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatAddress, isWildcard, parseAddress } from '../config/address.ts';
import { toStateDirs } from '../config/state-dir.ts';
import { MorphlingError, toMessage } from '../core/errors.ts';
import type { Call } from './command.ts';
import { createHttp, type Http } from './http.ts';

/** An agent's control port. */
export interface Control extends Http {
  /** `127.0.0.1:9465`, for messages. */
  readonly address: string;
}

const DEFAULT_ADDRESS = '127.0.0.1:9465';
const DEFAULT_STATE_DIR = '/var/lib/morphling';
/** The agent writes it at its first start, mode 0600. */
const TOKEN_FILE = 'token';

/**
 * Opens the control port that `--control`, MORPHLING_CONTROL or the default names. With `isWrite` the token is read
 * first, so that a missing one is reported as such and not as a refusal. Throws BAD_REQUEST for a bad address or timeout.
 */
export function openControl(call: Call, isWrite = false): Control {
  const text = call.texts['control'] ?? (call.env['MORPHLING_CONTROL'] || DEFAULT_ADDRESS);
  const parsed = parseAddress(text.replace(/^http:\/\//, ''), '127.0.0.1');
  if (parsed === null)
    throw new MorphlingError(
      'BAD_REQUEST',
      `--control: expected an address such as ${DEFAULT_ADDRESS}, got ${JSON.stringify(text)}`,
    );
  const address = formatAddress(isWildcard(parsed.host) ? { ...parsed, host: '127.0.0.1' } : parsed);
  const timeoutS = Number(call.texts['timeout'] ?? 10);
  if (!(timeoutS > 0))
    throw new MorphlingError('BAD_REQUEST', `--timeout: expected seconds above 0, got ${call.texts['timeout']}`);
  const token = isWrite ? readToken(call) : null;
  const http = createHttp(`http://${address}`, {
    timeoutMs: 1000 * timeoutS,
    signal: call.signal,
    ...(token === null ? {} : { token }),
  });
  return { ...http, address };
}

/** Every place where the token may lie, in the order in which they are tried. */
function tokenPaths(call: Call): string[] {
  const file = call.texts['token-file'];
  if (file !== undefined) return [file];
  const chosen = call.texts['state-dir'] ?? (call.env['MORPHLING_STATE_DIR'] || DEFAULT_STATE_DIR);
  const folders = toStateDirs(chosen, call.env);
  return folders.map((folder) => join(folder, TOKEN_FILE));
}

/** The token; throws UNAUTHORISED with all places it was looked for. */
export function readToken(call: Call): string {
  const failures: string[] = [];
  for (const path of tokenPaths(call)) {
    try {
      const token = readFileSync(path, 'utf8').trim();
      if (token !== '') return token;
      failures.push(`${path} is empty`);
    } catch (error) {
      failures.push(toMessage(error));
    }
  }
  throw new MorphlingError(
    'UNAUTHORISED',
    `no token for the agent: ${failures.join('; ')}. Name its state folder (--state-dir) or a copy (--token-file).`,
  );
}

/** `?model=NAME` for the model that was named, if one was. */
export function modelQuery(call: Call): string {
  const model = call.texts['model'];
  return model === undefined ? '' : `?model=${encodeURIComponent(model)}`;
}
