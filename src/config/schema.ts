// Schema builders for shapes that TypeBox has no word for, kept to what a Kubernetes CRD can hold too.
import { type TSchema, type TUnsafe, Type } from 'typebox';

/** One of the given words. Carries `type`, which a CRD wants beside `enum`. */
export function oneOf<Word extends string>(words: readonly Word[], options: TSchema = {}): TUnsafe<Word> {
  return Type.Unsafe<Word>({ type: 'string', enum: [...words], ...options });
}

/** `[min, max]`, both ends allowed. An array of exactly two, since tuples are not portable JSON schema. */
export function rangeOf(item: TSchema): TUnsafe<[number, number]> {
  return Type.Unsafe<[number, number]>({ type: 'array', items: item, minItems: 2, maxItems: 2 });
}

/** Free keys, one kind of value. */
export function mapOf<Value>(value: TSchema): TUnsafe<Record<string, Value>> {
  return Type.Unsafe<Record<string, Value>>({ type: 'object', additionalProperties: value });
}

/** The schema's values, or null. */
export function orNull<Value>(schema: TSchema): TUnsafe<Value | null> {
  return Type.Unsafe<Value | null>({ anyOf: [schema, { type: 'null' }] });
}
