import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { checkState, checkUpstream } from '../../src/cli/check-agent.ts';
import { checkClock, checkConfig, checkNode, checkNvidiaSmi, checkStateDir } from '../../src/cli/check-local.ts';
import { fail, formatReport, pass, toReport, warn } from '../../src/cli/check-report.ts';
import { createOutput } from '../../src/cli/output.ts';
import { parseAgentConfig } from '../../src/config/agent.ts';
import { MorphlingError } from '../../src/core/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'morphling-check-'));
afterAll(() => rmSync(folder, { recursive: true }));
const now = Date.parse('2026-11-24');

describe('check', () => {
  test.each([
    ['26.13.1', now, ['success', 'success']],
    ['26.10.0', now, ['success', 'warning']],
    ['22.19.0', now, ['success', 'warning']],
    ['22.18.9', now, ['error', 'warning']],
    ['20.20.0', now, ['error']],
    ['25.9.0', now, ['success', 'warning']],
    ['24.30.0', Date.parse('2029-01-01'), ['success', 'warning']],
    // a line that this release does not know is not called bad
    ['30.0.0', now, ['success']],
  ])('Node %s is judged by its line', (version, nowMs, results) => {
    expect(checkNode(version, nowMs).map(({ result }) => result)).toEqual(results);
  });

  test('a clock from before this program is a warning', () => {
    expect(checkClock(0).result).toBe('warning');
    expect(checkClock(now).result).toBe('success');
  });

  test('every bad field is a line of its own', () => {
    let thrown: unknown;
    try {
      parseAgentConfig({ env: { MORPHLING_MODE: 'fast', MORPHLING_LISTEN: 'x' }, flags: {} });
    } catch (error) {
      thrown = error;
    }
    if (!(thrown instanceof MorphlingError)) throw new Error('was accepted');
    expect(checkConfig(thrown).map(({ result }) => result)).toEqual(['error', 'error']);
    expect(checkConfig(parseAgentConfig({ env: {}, flags: {} }))).toEqual([pass('configuration is valid')]);
  });

  test('a state folder that is not there yet counts as its parent', () => {
    expect(checkStateDir(join(folder, 'new')).result).toBe('success');
    expect(checkStateDir(join(folder, 'no', 'such', 'parent')).result).toBe('warning');
    writeFileSync(join(folder, 'file'), '');
    chmodSync(join(folder, 'file'), 0o755);
    expect(checkStateDir(join(folder, 'file')).result).toBe('warning');
  });

  test('nvidia-smi: works, fails, is missing', async () => {
    const script = (name: string, text: string) => {
      const path = join(folder, name);
      writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      return path;
    };
    expect(await checkNvidiaSmi(script('good', 'echo "Tesla T4, 5 %"'), false)).toEqual(
      pass('nvidia-smi reports a GPU (Tesla T4, 5 %)'),
    );
    const broken = await checkNvidiaSmi(script('bad', 'echo "driver gone"; exit 9'), false);
    expect([broken.result, broken.error]).toEqual(['warning', 'driver gone']);
    expect((await checkNvidiaSmi('/nonexistent/nvidia-smi', false)).result).toBe('warning');
    expect((await checkNvidiaSmi('/nonexistent/nvidia-smi', true)).result).toBe('error');
  });

  test.each([
    ['ready', null, ['success', 'success']],
    ['gone', new MorphlingError('UNREACHABLE', 'x'), ['error']],
    ['silent', new MorphlingError('TIMED_OUT', 'x'), ['error']],
    ['no V2', new MorphlingError('NOT_FOUND', 'x'), ['success', 'warning']],
    ['a plain body', new MorphlingError('BAD_RESPONSE', 'x'), ['success', 'success']],
    ['loading', new MorphlingError('INTERNAL', 'x'), ['success', 'error']],
  ])('a model server that is %s', async (_name, error, results) => {
    const getJson = () => (error === null ? Promise.resolve({}) : Promise.reject(error));
    const found = await checkUpstream({ getJson, putJson: getJson, postJson: getJson }, 'http://x');
    expect(found.map(({ result }) => result)).toEqual(results);
  });

  test('throttling, silence and a paused agent are warnings, each with a hint', () => {
    const status = {
      isBypass: true,
      isPaused: true,
      mind: 'down',
      stateProblem: 'ENOSPC',
      configInvalid: ['mode: expected ...'],
      telemetry: [
        { source: 'nvidia-smi', ageMs: 1000, lastError: null },
        { source: 'dcgm', ageMs: null, lastError: 'refused' },
      ],
    };
    const results = checkState({ status, snapshot: { telemetry: { host: { throttledRatio: 0.3 } } } });
    expect(results.map(({ result }) => result)).toEqual([...Array<string>(6).fill('warning'), 'success', 'warning']);
    expect(results.every(({ result, hint }) => result === 'success' || hint !== undefined)).toBe(true);
    expect(checkState({ status: {}, snapshot: null }).every(({ result }) => result === 'success')).toBe(true);
  });

  test('a warning does not fail the whole, an error does; the text has linkerd symbols', () => {
    const sink = { write: () => true };
    const { style } = createOutput({ stdout: sink, stderr: sink, env: {} });
    const good = toReport([{ categoryName: 'a', checks: [pass('p'), warn('w', 'e', 'h')] }]);
    expect(good.success).toBe(true);
    expect(formatReport(good, style)).toBe('a\n-\n√ p\n‼ w\n    e\n    hint: h\n\nStatus check results are √');
    const bad = toReport([{ categoryName: 'a', checks: [fail('f', 'e', 'h')] }]);
    expect(bad.success).toBe(false);
    expect(formatReport(bad, style)).toContain('× f');
  });
});
