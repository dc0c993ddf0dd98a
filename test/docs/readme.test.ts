// The README's tables are read off the code, so they cannot drift: run with MORPHLING_WRITE_README=1 to write them anew.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { AGENT_FIELDS } from '../../src/config/agent-fields.ts';
import { toMarkdownTable } from '../../src/config/print.ts';
import { createMetrics } from '../../sidecar/control/metrics.ts';
import { COMMANDS } from '../../src/cli/commands.ts';

const path = join(import.meta.dirname, '../../README.md');

/** Puts `text` between `<!-- NAME -->` and `<!-- /NAME -->`. */
function fill(readme: string, name: string, text: string): string {
  const block = new RegExp(`(<!-- ${name} -->\n)[\\s\\S]*?(<!-- /${name} -->)`);
  if (!block.test(readme)) throw new Error(`README.md has no block ${name}`);
  return readme.replace(block, (_, open: string, close: string) => `${open}${text}${close}`);
}

async function metricTable(): Promise<string> {
  const metrics = createMetrics({
    build: { version: '0', commit: '0', node: '0' },
    models: () => [],
    telemetry: () => null,
    slaP99Ms: () => null,
    isConfigInvalid: () => false,
    isBypass: () => false,
    samplingIntervalS: () => 10,
    stateProblem: () => null,
    upstream: () => ({ isDown: false, retries: { made: 0, refused: 0 } }),
    restarts: () => null,
    memoryRatio: () => null,
  });
  const { body } = await metrics.render(null);
  metrics.close();
  const rows = [...body.matchAll(/^# HELP (morphling_\S+) (.*)\n# TYPE \S+ (\S+)/gm)].map(
    ([, name, help, type]) => `| \`${name}\` | ${type} | ${help} |`,
  );
  return `| metric | type | meaning |\n| --- | --- | --- |\n${rows.sort().join('\n')}\n`;
}

describe('README.md', () => {
  test('its tables of keys and metrics are those of the code', async () => {
    const readme = readFileSync(path, 'utf8');
    let wanted = fill(readme, 'keys', toMarkdownTable(AGENT_FIELDS));
    wanted = fill(wanted, 'metrics', await metricTable());
    if (process.env['MORPHLING_WRITE_README'] === '1') writeFileSync(path, wanted);
    else expect(readme).toBe(wanted);
  });

  test('it names every command', () => {
    const readme = readFileSync(path, 'utf8');
    for (const { name } of COMMANDS) expect(readme, name).toContain(`\`${name}`);
  });
});
