// Faults between the agent's fields that are each well by themselves.
import type { Address } from '../core/agent-config.ts';
import type { Issue } from '../core/errors.ts';
import {
  ADDRESS_EXPECTED,
  isLoopback,
  isUrl,
  isWildcard,
  parseAddress,
  toUrlAddress,
  URL_EXPECTED,
} from './address.ts';
import { describeValue } from './describe.ts';
import type { Flat } from './tree.ts';

const PORT_KEYS = ['listen', 'control', 'metrics'] as const;

/** Keys that are not in `flat` are not looked at. `defaultHosts`: what `:port` means, per key. */
export function checkAgent(flat: Flat, defaultHosts: Readonly<Record<string, string>>): Issue[] {
  const issues: Issue[] = [];
  const refuse = (field: string, expected: string): void => {
    issues.push({ field, expected, got: describeValue(flat[field]) });
  };
  const taken: { key: string; address: Address }[] = [];
  for (const key of PORT_KEYS) {
    const text = flat[key];
    if (typeof text !== 'string') continue;
    const address = parseAddress(text, defaultHosts[key] ?? '');
    if (address === null) {
      refuse(key, ADDRESS_EXPECTED);
      continue;
    }
    if (key === 'control' && !isLoopback(address.host)) {
      refuse(key, 'a loopback address, since whoever reaches it may change settings');
    }
    const other = taken.find((one) => address.port !== 0 && one.address.port === address.port);
    if (other !== undefined) refuse(key, `another port than ${other.key}`);
    taken.push({ key, address });
  }
  for (const key of ['upstream', 'telemetry.dcgmUrl']) {
    const text = flat[key];
    if (typeof text === 'string' && !isUrl(text)) refuse(key, URL_EXPECTED);
  }
  const upstream = flat['upstream'];
  if (typeof upstream === 'string') checkUpstream(upstream, taken, refuse);
  return issues;
}

function checkUpstream(
  upstream: string,
  taken: readonly { key: string; address: Address }[],
  refuse: (field: string, expected: string) => void,
): void {
  if (!isUrl(upstream)) return;
  if (new URL(upstream).pathname !== '/') refuse('upstream', 'an origin without a path: paths come from the callers');
  const { host, port } = toUrlAddress(upstream);
  if (!isLoopback(host) && !isWildcard(host)) return;
  const own = taken.find(({ address }) => address.port === port);
  if (own !== undefined) refuse('upstream', `the model server, not our own ${own.key} port`);
}
