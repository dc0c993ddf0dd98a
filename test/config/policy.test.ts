import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePolicy, toPolicyPatchSchema, toPolicySchema } from '../../src/config/policy.ts';
import { parseSettings } from '../../src/config/settings.ts';
import { checkValue } from '../../src/config/check.ts';
import { MorphlingError } from '../../src/core/errors.ts';
import { DEFAULT_POLICY, toBounds } from '../../src/core/policy.ts';
import { START_SETTINGS } from '../../src/core/settings.ts';

const bounds = toBounds(
  { ...DEFAULT_POLICY, bounds: { ...DEFAULT_POLICY.bounds, switches: ['tensorrt'] } },
  { p99Ms: 100, isAssumed: false },
);

describe('a policy sent by a person', () => {
  test('is laid over the one in force', () => {
    const policy = parsePolicy({ mode: 'cost', sla: { p99Ms: 85 } }, DEFAULT_POLICY);
    expect(policy).toEqual({ ...DEFAULT_POLICY, mode: 'cost', sla: { errorRate: 0.01, p99Ms: 85 } });
    expect(parsePolicy({}, policy)).toEqual(policy);
  });

  test('null takes a key, or everything under it, back to the default', () => {
    const policy = parsePolicy(
      { sla: { p99Ms: 85, errorRate: 0.5 }, weights: { performance: 1, cost: 0 } },
      DEFAULT_POLICY,
    );
    expect(parsePolicy({ sla: { p99Ms: null } }, policy).sla).toEqual({ errorRate: 0.5 });
    expect(parsePolicy({ sla: null, weights: null }, policy)).toEqual(DEFAULT_POLICY);
  });

  test('names every bad field, without the prefix it has in a file', () => {
    try {
      parsePolicy({ mode: 1, slo: {}, guard: { maxStepRatio: 0 }, ['__proto__']: 1 }, DEFAULT_POLICY);
      expect.unreachable();
    } catch (error) {
      const { code, issues } = error as MorphlingError;
      expect(code).toBe('BAD_CONFIG');
      expect(issues.map(({ field }) => field)).toEqual(['mode', 'slo', 'guard.maxStepRatio', '__proto__']);
      expect(issues[1]?.expected).toBe('no such key; did you mean sla?');
    }
  });

  test('a body of ten thousand unknown keys is answered with a bounded list', () => {
    const body = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, 1]));
    try {
      parsePolicy(body, DEFAULT_POLICY);
      expect.unreachable();
    } catch (error) {
      expect((error as MorphlingError).issues).toHaveLength(100);
    }
  });

  test('a fault between what is sent and what is in force is found', () => {
    const policy = parsePolicy({ bounds: { batchDelayMs: [0, 60] } }, DEFAULT_POLICY);
    expect(() => parsePolicy({ sla: { p99Ms: 50 } }, policy)).toThrow('bounds.batchDelayMs');
  });

  test('either a whole well policy comes out, or BAD_CONFIG; the base is never touched', () => {
    const before = structuredClone(DEFAULT_POLICY);
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...Object.keys(DEFAULT_POLICY)), (value, key) => {
        for (const input of [value, { [key]: value }]) {
          try {
            expect(checkValue(toPolicySchema(), parsePolicy(input, DEFAULT_POLICY))).toEqual([]);
          } catch (error) {
            expect(error).toBeInstanceOf(MorphlingError);
          }
        }
      }),
    );
    expect(DEFAULT_POLICY).toEqual(before);
  });

  test('its schema requires what has a default, and the schema of a part requires nothing', () => {
    expect(checkValue(toPolicySchema(), DEFAULT_POLICY)).toEqual([]);
    expect(checkValue(toPolicySchema(), {}).map(({ field }) => field)).toContain('rollback');
    expect(checkValue(toPolicyPatchSchema(), {})).toEqual([]);
    expect(toPolicySchema()).toMatchObject({ properties: { mode: { default: 'balanced', type: 'string' } } });
  });
});

describe('settings sent by a person', () => {
  test('are laid over those in force, switch by switch', () => {
    const current = { ...START_SETTINGS, switches: { tensorrt: true } };
    expect(parseSettings({ batchSize: 8 }, current, bounds)).toEqual({ ...current, batchSize: 8 });
    expect(parseSettings({ switches: { tensorrt: false } }, current, bounds).switches).toEqual({ tensorrt: false });
  });

  test.each([
    [{ batchSize: 65 }, 'batchSize'],
    [{ batchSize: 1.5 }, 'batchSize'],
    [{ batchDelayMs: 76 }, 'batchDelayMs'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ batchsize: 8 }, 'batchsize'],
    [{ switches: { turbo: true } }, 'switches.turbo'],
    [{ switches: { tensorrt: 'yes' } }, 'switches.tensorrt'],
    [[], ''],
    [null, ''],
  ])('%j is refused at %s, not clamped', (input, field) => {
    try {
      parseSettings(input, START_SETTINGS, bounds);
      expect.unreachable();
    } catch (error) {
      expect((error as MorphlingError).issues.map((issue) => issue.field)).toContain(field);
      expect((error as MorphlingError).code).toBe('BAD_SETTINGS');
    }
  });
});
