// The version of this package, as its package.json says.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `unknown` when there is no package file: two folders up in the repository, three in the emitted package. */
export function readVersion(): string {
  for (const up of ['../..', '../../..']) {
    try {
      const { name, version } = JSON.parse(
        readFileSync(join(import.meta.dirname, up, 'package.json'), 'utf8'),
      ) as Record<string, string>;
      if (name === 'morphling' && version !== undefined) return version;
    } catch {
      continue;
    }
  }
  return 'unknown';
}
