// One field table per program: environment, flags, file, help and README are all read off it.
import type { TSchema } from 'typebox';

/** One setting of a program. The key is its dotted path in the YAML file. */
export interface Field {
  /** JSON schema of the value: type, bounds, default. */
  readonly schema: TSchema;
  /** Environment name, `MORPHLING_...`. */
  readonly env: string;
  /** Command-line flag without the dashes; absent: file and environment only. */
  readonly flag?: string;
  readonly unit?: 'ms' | 's' | 'bytes' | 'ratio' | 'count' | 'url' | 'address' | 'path';
  readonly default: unknown;
  /** One sentence; a default says its source or reason. */
  readonly doc: string;
}
