// What npm itself says of what ships: a bill of materials that is whole, and no known hole.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { printFigure } from '../support/scale.ts';

const run = promisify(execFile);
const cwd = join(import.meta.dirname, '../..');

/** Its standard output, also where it ends in an error; null where there is no npm. */
async function npm(...args: string[]): Promise<string | null> {
  try {
    return (await run('npm', args, { cwd, maxBuffer: 64 << 20 })).stdout;
  } catch (error) {
    const { code, stdout } = error as { code?: string; stdout?: string };
    return code === 'ENOENT' ? null : (stdout ?? '');
  }
}

test('the bill of materials names every shipped package with its version and licence', async ({ skip }) => {
  // Not --omit=dev: with it npm 11 leaves out what a development package needs too (yaml here).
  const text = await npm('sbom', '--sbom-format=cyclonedx');
  if (text === null) return skip('npm is not installed');
  const bill = JSON.parse(text) as {
    bomFormat: string;
    components: { name: string; version: string; licenses?: unknown[]; purl: string; hashes?: unknown[] }[];
  };
  expect(bill.bomFormat).toBe('CycloneDX');
  const known = new Map(bill.components.map((component) => [`${component.name}@${component.version}`, component]));
  const { packages } = JSON.parse(readFileSync(join(cwd, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { version: string; dev?: boolean }>;
  };
  // Of the packages for other machines none is installed.
  const shipped = Object.entries(packages).filter(
    ([path, { dev }]) => path !== '' && dev !== true && existsSync(join(cwd, path)),
  );
  for (const [path, { version }] of shipped) {
    const component = known.get(`${path.slice(path.lastIndexOf('node_modules/') + 13)}@${version}`);
    expect([path, component]).toEqual([
      path,
      expect.objectContaining({ purl: expect.stringMatching(/^pkg:npm\//) as string, licenses: [expect.anything()] }),
    ]);
  }
  printFigure('bill of materials', { components: bill.components.length, 'of which ship': shipped.length });
});

test('the registry knows of no high or critical hole in what ships', async ({ skip }) => {
  const text = await npm('audit', '--omit=dev', '--json');
  if (text === null) return skip('npm is not installed');
  const report = JSON.parse(text === '' ? '{}' : text) as {
    metadata?: { vulnerabilities: Record<'high' | 'critical', number> };
    message?: string;
  };
  if (report.metadata === undefined) return skip(`the registry cannot be asked: ${report.message ?? 'no answer'}`);
  const { high, critical } = report.metadata.vulnerabilities;
  expect({ high, critical }).toEqual({ high: 0, critical: 0 });
});
