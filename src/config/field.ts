// One field table per program: environment, flags, file, help and README are all read off it.
import type { TSchema } from 'typebox';

/** One setting of a program. */
export interface Field {
  /** JSON schema of the value as it is written in a file: type and bounds. Its `title` words what is expected. */
  readonly schema: TSchema;
  /** Environment name, `MORPHLING_...`. */
  readonly env: string;
  /** Command-line flag without the dashes; absent: file and environment only. */
  readonly flag?: string;
  readonly unit?: 'ms' | 's' | 'min' | 'bytes' | 'ratio' | 'count' | 'url' | 'address' | 'path';
  /** As it is written in a file; undefined: left out, and the sentence says what that means. */
  readonly default: unknown;
  /** One sentence; a default says its source or reason. */
  readonly doc: string;
}

/** Fields by their dotted path in the YAML file; the order is the order of help and README. */
export type FieldTable<Key extends string = string> = Readonly<Record<Key, Field>>;

/**
 * Dotted paths of all leaves of T. Arrays and maps with free keys are leaves. A table typed
 * `FieldTable<LeafKey<AgentConfig>>` cannot miss a field or have one too many.
 */
export type LeafKey<T> = {
  [Key in keyof T & string]-?: NonNullable<T[Key]> extends readonly unknown[]
    ? Key
    : NonNullable<T[Key]> extends object
      ? string extends keyof NonNullable<T[Key]>
        ? Key
        : `${Key}.${LeafKey<NonNullable<T[Key]>>}`
      : Key;
}[keyof T & string];
