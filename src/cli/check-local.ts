// Checks of this machine: they need no agent.
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { AgentConfig } from '../core/agent-config.ts';
import { formatIssue, MorphlingError, toMessage } from '../core/errors.ts';
import { fail, pass, warn, type CheckResult } from './check-report.ts';

/** Release lines of Node: end of life, and the first release with the line's known security fixes (nodejs.org/en/about/previous-releases). */
const NODE_LINES: Readonly<Record<number, { readonly endOfLife: string; readonly patched?: string }>> = {
  22: { endOfLife: '2027-04-30', patched: '22.23.5' },
  23: { endOfLife: '2025-06-01' },
  24: { endOfLife: '2028-04-30', patched: '24.22.3' },
  25: { endOfLife: '2026-06-01' },
  26: { endOfLife: '2029-04-30', patched: '26.13.1' },
};
/** No release of this program is older: a clock before it is wrong. */
const RELEASED = Date.parse('2026-11-01');

/** `version` is `process.versions.node`, `nowMs` the wall clock. */
export function checkNode(version: string, nowMs: number): CheckResult[] {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isOld = major < 22 || (major === 22 && minor < 19);
  const known = NODE_LINES[major];
  const results = [
    isOld
      ? fail('Node.js is new enough', `this is ${version}, 22.19 is needed`, 'install a current LTS release of Node.js')
      : pass(`Node.js ${version} is new enough`),
  ];
  if (known === undefined) return results;
  if (nowMs > Date.parse(known.endOfLife))
    results.push(
      warn(
        'its release line is supported',
        `the line ${major} ended on ${known.endOfLife}`,
        'it gets no security fixes: move to a current LTS line',
      ),
    );
  else if (known.patched !== undefined && isOlder(version, known.patched))
    results.push(
      warn(
        'it has the known security fixes',
        `this is ${version}, ${known.patched} has them`,
        `update within the line: nothing else changes`,
      ),
    );
  else results.push(pass(`its release line is supported until ${known.endOfLife}`));
  return results;
}

export function checkClock(nowMs: number): CheckResult {
  const name = 'the wall clock is plausible';
  if (nowMs >= RELEASED) return pass(name);
  return warn(
    name,
    `it says ${new Date(nowMs).toISOString()}`,
    'history and logs carry wrong times: start a time service; control needs no wall clock',
  );
}

/** What parsing threw, or the configuration. */
export function checkConfig(config: AgentConfig | MorphlingError): CheckResult[] {
  const name = 'configuration is valid';
  if (config instanceof MorphlingError) {
    const words = config.issues.length === 0 ? [config.message] : config.issues.map(formatIssue);
    return words.map((word) => fail(name, word, 'morphling agent --print-config shows what would be in force'));
  }
  if (config.invalid.length === 0) return [pass(name)];
  return config.invalid.map((word) =>
    fail(name, word, 'fail-open let it pass: the agent is a pass-through until it is mended'),
  );
}

export function checkStateDir(path: string): CheckResult {
  const name = `state folder ${path} can be written`;
  const hint =
    'settings and history are kept in memory only and lost at a restart: mount a writable folder, or set MORPHLING_STATE_DIR';
  try {
    // The agent makes it at its first start: then its parent counts.
    const existing = existsSync(path) ? path : dirname(path);
    accessSync(existing, constants.W_OK | constants.X_OK);
    return statSync(existing).isDirectory() ? pass(name) : warn(name, 'it is not a folder', hint);
  } catch (error) {
    return warn(name, toMessage(error), hint);
  }
}

/** Reads one row; a machine without a GPU is a warning, since every decision works on inferred busy time. */
export function checkNvidiaSmi(path: string, isRequired: boolean): Promise<CheckResult> {
  const name = 'nvidia-smi reports a GPU';
  const bad = isRequired ? fail : warn;
  const without = 'the device load is then inferred from the busy time of upstream calls';
  return new Promise((resolve) => {
    const query = ['--query-gpu=name,utilization.gpu', '--format=csv,noheader'];
    execFile(path, query, { timeout: 10_000 }, (error, stdout) => {
      const line = stdout.trim().split('\n')[0] ?? '';
      if (error === null && line !== '') resolve(pass(`${name} (${line})`));
      else if (error !== null && 'code' in error && error.code === 'ENOENT')
        resolve(
          bad(
            name,
            `${path} was not found`,
            `${without}; to see it, give the container the driver's tools (NVIDIA_DRIVER_CAPABILITIES=utility)`,
          ),
        );
      else
        resolve(
          bad(
            name,
            line === '' ? (error?.message ?? 'it printed nothing') : line,
            `${without}; run ${path} yourself to see why it fails`,
          ),
        );
    });
  });
}

function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i++) if ((a?.[i] ?? 0) !== (b?.[i] ?? 0)) return (a?.[i] ?? 0) < (b?.[i] ?? 0);
  return false;
}
