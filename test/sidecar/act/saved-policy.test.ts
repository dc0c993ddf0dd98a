import { expect, test } from 'vitest';
import { restorePolicy, type SavedPolicy } from '../../../sidecar/act/saved-policy.ts';
import { DEFAULT_POLICY, type Policy } from '../../../src/core/policy.ts';

const policy: Policy = { ...DEFAULT_POLICY, mode: 'cost' };
const saved: SavedPolicy = { base: DEFAULT_POLICY, policy };
const read = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test('a policy set over the API is found again, whatever the order of keys in the configuration', () => {
  const reordered = Object.fromEntries(Object.entries(DEFAULT_POLICY).toReversed());
  expect(restorePolicy(read(saved), reordered as unknown as Policy)).toEqual(policy);
});

test('when the configured policy has changed since, the configuration wins', () => {
  expect(restorePolicy(read(saved), { ...DEFAULT_POLICY, decideIntervalS: 5 })).toBeNull();
});

test.each([null, 1, [], {}, { base: 1 }, { policy: {} }])('%j is no saved policy', (value) => {
  expect(restorePolicy(value, DEFAULT_POLICY)).toBeNull();
});
