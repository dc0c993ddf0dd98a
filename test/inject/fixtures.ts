// The pods of test/fixtures/pods: hand-written, one case a file, its reason in the first line.
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { InjectOptions } from '../../src/inject/result.ts';

export interface PodFixture {
  readonly name: string;
  readonly pod: Readonly<Record<string, unknown>>;
  readonly options: InjectOptions;
}

const FOLDER = new URL('../fixtures/pods/', import.meta.url);

/** `# options: {…}` in the second line is what differs from the defaults. */
export function loadPods(): PodFixture[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'));
  return files.sort().map((file) => {
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    const options: unknown = JSON.parse(/^# options: (.*)$/m.exec(text)?.[1] ?? '{}');
    return {
      name: file.replace('.yaml', ''),
      pod: parse(text) as Record<string, unknown>,
      options: { version: '0.0.0', ...(options as Partial<InjectOptions>) },
    };
  });
}
