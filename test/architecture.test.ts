// The import table is only worth something while its checker sees every file and can still fail.
import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, rmSync, writeFileSync, cpSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const depcruise = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');

interface CruiseResult {
  summary: { totalCruised: number; violations: { rule: { name: string }; from: string; to: string }[] };
  modules: { source: string }[];
}

function cruise(cwd: string, config: string): CruiseResult {
  const { stdout } = spawnSync(
    process.execPath,
    [depcruise, '--config', config, '--output-type', 'json', 'src', 'sidecar'],
    {
      cwd,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    },
  );
  return JSON.parse(stdout) as CruiseResult;
}

describe('import directions', () => {
  test('every source file is cruised and no room imports what it may not', () => {
    const result = cruise(root, '.dependency-cruiser.cjs');
    const files = globSync('{src,sidecar}/**/*.ts', { cwd: root }).length;
    const cruised = result.modules.filter((module) => /^(src|sidecar)\/.*\.ts$/.test(module.source)).length;
    expect(cruised).toBe(files);
    expect(result.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([]);
  });

  test('a planted bad edge of each kind is reported', () => {
    const copy = mkdtempSync(join(tmpdir(), 'morphling-architecture-'));
    try {
      cpSync(join(root, '.dependency-cruiser.cjs'), join(copy, '.dependency-cruiser.cjs'));
      const plant = (file: string, text: string): void => {
        mkdirSync(join(copy, file, '..'), { recursive: true });
        writeFileSync(join(copy, file), text);
      };
      plant('src/core/noun.ts', "export const noun = 1;\nimport '../wire/codec.ts';\n");
      plant('src/wire/codec.ts', 'export const codec = 1;\n');
      plant(
        'sidecar/sense/window.ts',
        "import type { cell } from '../act/cell.ts';\nexport type Window = typeof cell;\n",
      );
      plant('sidecar/act/cell.ts', 'export const cell = 1;\n');
      plant('sidecar/main.ts', "import './lab/simulate.ts';\n");
      plant('sidecar/lab/simulate.ts', 'export const simulate = 1;\n');
      const edges = cruise(copy, '.dependency-cruiser.cjs').summary.violations.map(
        ({ from, to }) => `${from} -> ${to}`,
      );
      expect(edges).toContain('src/core/noun.ts -> src/wire/codec.ts');
      expect(edges).toContain('sidecar/sense/window.ts -> sidecar/act/cell.ts');
      expect(edges).toContain('sidecar/main.ts -> sidecar/lab/simulate.ts');
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});

describe('running under the packaged Node', () => {
  test('the tests run on the Node that the project brings', () => {
    expect(Number(process.versions.node.split('.')[0])).toBeGreaterThanOrEqual(22);
    expect(execFileSync(process.execPath, ['--version'], { encoding: 'utf8' }).trim()).toBe(process.version);
  });
});
