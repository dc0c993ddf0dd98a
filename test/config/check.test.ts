import * as fc from 'fast-check';
import { Type } from 'typebox';
import { Check } from 'typebox/value';
import { describe, expect, test } from 'vitest';
import { checkValue, MAX_ISSUES } from '../../src/config/check.ts';
import { toPolicySchema } from '../../src/config/policy.ts';
import { mapOf, oneOf, orNull, rangeOf } from '../../src/config/schema.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';

const schema = Type.Object(
  {
    a: Type.Integer({ minimum: 1, maximum: 5 }),
    b: Type.Optional(Type.Number({ exclusiveMinimum: 0, exclusiveMaximum: 2 })),
    c: oneOf(['x', 'y']),
    d: Type.Array(Type.String({ minLength: 1, maxLength: 3, pattern: '^[a-z]*$' }), { maxItems: 2 }),
    e: rangeOf(Type.Number()),
    f: mapOf<boolean>(Type.Boolean()),
    g: orNull<number>(Type.Number()),
    h: Type.Literal('v1'),
  },
  { additionalProperties: false },
);
const good = { a: 1, b: 1, c: 'x', d: ['ab'], e: [1, 2], f: { k: true }, g: null, h: 'v1' };

describe('checking a value', () => {
  test('says yes exactly when the schema library says yes', () => {
    const leaf = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom(0, 1, 2, 5, 6, NaN, Infinity, '', 'x', 'abcd', null, [], {}, [1, 2], ['ab', 'cd'], 'v1'),
    );
    const mutated = fc
      .tuple(fc.constantFrom(...Object.keys(good), 'extra'), leaf)
      .map(([key, value]) => ({ ...good, [key]: value }));
    const missing = fc
      .constantFrom(...Object.keys(good))
      .map((key) => Object.fromEntries(Object.entries(good).filter(([name]) => name !== key)));
    fc.assert(
      fc.property(fc.oneof(mutated, missing, leaf), (value) => {
        expect(checkValue(schema, value).length === 0).toBe(Check(schema, value));
      }),
      { numRuns: 2000 },
    );
    expect(Check(schema, good)).toBe(true);
  });

  test('agrees with the schema library on mutated policies', () => {
    const policySchema = toPolicySchema();
    const paths = Object.entries(DEFAULT_POLICY).flatMap(([key, value]) =>
      typeof value === 'object' ? Object.keys(value).map((inner) => [key, inner] as const) : [],
    );
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue({ maxDepth: 1 }), ([key, inner], value) => {
        const policy = {
          ...DEFAULT_POLICY,
          [key]: { ...(DEFAULT_POLICY[key as keyof typeof DEFAULT_POLICY] as object), [inner]: value },
        };
        expect(checkValue(policySchema, policy).length === 0).toBe(Check(policySchema, policy));
      }),
      { numRuns: 500 },
    );
  });

  test('a document with a million faults yields a bounded list', () => {
    const many = { ...good, f: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`k${index}`, 1])) };
    expect(checkValue(schema, many)).toHaveLength(MAX_ISSUES);
  });
});
