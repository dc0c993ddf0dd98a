// The program as a person runs it: real processes, exit codes, streams.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { createCurve, findProfile, parseProfiles } from '../../sidecar/lab/profiles.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const entry = join(root, 'src/cli/morphling.mjs');
const folder = mkdtempSync(join(tmpdir(), 'morphling-cli-'));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MORPHLING_')));

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function morphling(args: readonly string[], env: Record<string, string> = {}, program = entry): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...args],
      { env: { ...clean, ...env }, timeout: 60_000 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return address !== null && typeof address === 'object' ? address.port : 0;
}

/** Starts a long-running command and waits for a line of its stdout. */
async function start(args: readonly string[], line: RegExp): Promise<{ child: ChildProcess; match: RegExpExecArray }> {
  const child = spawn(process.execPath, [entry, ...args], { env: clean, stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  let text = '';
  const match = await new Promise<RegExpExecArray>((resolve, reject) => {
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${text}`)));
    child.stderr.on('data', (part: Buffer) => (text += part.toString()));
    child.stdout.on('data', (part: Buffer) => {
      text += part.toString();
      const found = line.exec(text);
      if (found !== null) resolve(found);
    });
  });
  return { child, match };
}

// oxlint-disable-next-line no-control-regex -- escape codes are what it looks for
const ESCAPE = /\u001B/;

describe('exit codes and streams', () => {
  test('help is data: stdout, 0; no command at all is a mistake: stderr, 2', async () => {
    const help = await morphling(['--help']);
    expect([help.code, help.stderr]).toEqual([0, '']);
    expect(help.stdout).toContain('morphling demo');
    const nothing = await morphling([]);
    expect([nothing.code, nothing.stdout]).toEqual([2, '']);
  });

  test('a typo names the nearest command or option and ends with 2', async () => {
    const command = await morphling(['stauts']);
    expect([command.code, command.stdout]).toEqual([2, '']);
    expect(command.stderr).toContain('did you mean status?');
    const option = await morphling(['status', '--contorl', 'x']);
    expect(option.code).toBe(2);
    expect(option.stderr).toContain('did you mean --control?');
    expect((await morphling(['bypass', 'maybe'])).code).toBe(2);
    expect((await morphling(['status', '-o', 'xml'])).code).toBe(2);
  });

  test('no agent: every command that needs one ends with 3 and says where it looked', async () => {
    const port = await freePort();
    for (const command of [['status'], ['settings'], ['history'], ['explain'], ['top', '--count', '1']]) {
      const ended = await morphling([...command, '--control', `127.0.0.1:${port}`]);
      expect([command[0], ended.code, ended.stdout]).toEqual([command[0], 3, '']);
      expect(ended.stderr).toContain(`127.0.0.1:${port}`);
    }
  });

  test('a silent agent: 4 within the timeout', async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    const startMs = performance.now();
    const ended = await morphling(['status', '--control', `127.0.0.1:${port}`, '--timeout', '0.3']);
    server.close();
    expect(ended.code).toBe(4);
    expect(performance.now() - startMs).toBeLessThan(5000);
  });

  test('a bad configuration: 64, every bad field of every source, and no port was bound', async () => {
    const port = await freePort();
    const file = join(folder, 'bad.yaml');
    writeFileSync(file, 'policy:\n  mode: fast\n');
    const ended = await morphling(
      ['agent', '--config', file, '--listen', `127.0.0.1:${port}`, '--upstream', 'ftp://x'],
      { MORPHLING_DECIDE_INTERVAL_S: '-1' },
    );
    expect([ended.code, ended.stdout]).toEqual([64, '']);
    for (const field of ['mode', 'upstream', 'decideIntervalS']) expect(ended.stderr).toContain(field);
    expect(ended.stderr).not.toContain('listening');
    expect((await morphling(['agent', '--config', join(folder, 'none.yaml')])).code).toBe(64);
  });

  test('--print-config shows what would be in force, and it can be fed back', async () => {
    const printed = await morphling(['agent', '--mode', 'cost', '--print-config'], { MORPHLING_SLA_P99_MS: '250' });
    expect([printed.code, printed.stderr]).toEqual([0, '']);
    expect(printed.stdout).toContain('mode: cost');
    expect(printed.stdout).toContain('p99Ms: 250');
    const file = join(folder, 'printed.yaml');
    writeFileSync(file, printed.stdout);
    expect((await morphling(['agent', '--config', file, '--print-config'])).stdout).toBe(printed.stdout);
  });

  test('fail-open lets a bad key pass and says so', async () => {
    const ended = await morphling(['agent', '--fail-open', '--print-config'], { MORPHLING_MODE: 'fast' });
    expect(ended.code).toBe(0);
    expect(ended.stdout).toContain('mode: balanced');
    expect(ended.stderr).toContain('policy.mode');
    const noFile = await morphling(['agent', '--fail-open', '--config', '/nonexistent', '--print-config']);
    expect(noFile.code).toBe(0);
    expect(noFile.stderr).toContain('/nonexistent');
  });

  test('check is one valid JSON document whatever is wrong, and fails with 1', async () => {
    const port = await freePort();
    const ended = await morphling(
      ['check', '-o', 'json', '--control', `127.0.0.1:${port}`, '--upstream', `http://127.0.0.1:${port}`],
      { MORPHLING_MODE: 'fast' },
    );
    expect(ended.code).toBe(1);
    const report: unknown = JSON.parse(ended.stdout);
    expect(report).toMatchObject({ success: false, categories: expect.any(Array) });
    const checks = (report as { categories: { checks: { result: string; hint?: string }[] }[] }).categories.flatMap(
      (category) => category.checks,
    );
    expect(checks.filter(({ result }) => result === 'error').length).toBeGreaterThanOrEqual(3);
    expect(checks.every(({ result, hint }) => result === 'success' || (hint ?? '') !== '')).toBe(true);
  });

  test('what is piped has no escape codes, with or without NO_COLOR', async () => {
    for (const env of [{}, { NO_COLOR: '1' }, { TERM: 'dumb' }, { FORCE_COLOR: '1' }] as Record<string, string>[]) {
      for (const args of [['--help'], ['check', '--timeout', '1'], ['nonsense'], ['version', '--client']]) {
        const { stdout, stderr } = await morphling(args, env);
        expect(ESCAPE.test(stdout + stderr)).toBe(false);
      }
    }
  });

  test('version in all three formats', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    expect((await morphling(['version', '--client'])).stdout).toContain(version);
    expect(JSON.parse((await morphling(['version', '--client', '-o', 'json'])).stdout)).toMatchObject({
      client: version,
    });
    expect((await morphling(['--version', '--client', '-o', 'yaml'])).stdout).toContain(`client: ${version}`);
  });

  test('a reader that leaves early is no fault', async () => {
    const shell = `"${process.execPath}" "${entry}" --help | head -n 1; exit "\${PIPESTATUS[0]}"`;
    const code = await new Promise((resolve) => {
      execFile('bash', ['-c', shell], { env: clean }, (error) => resolve(error === null ? 0 : error.code));
    });
    expect(code).toBe(0);
  });
});

describe('completion scripts', () => {
  const has = (shell: string): boolean =>
    (process.env['PATH'] ?? '').split(':').some((path) => existsSync(join(path, shell)));

  test('bash loads it and completes commands, options, choices and words', async () => {
    const { stdout } = await morphling(['completion', 'bash']);
    const file = join(folder, 'completion.bash');
    writeFileSync(file, stdout);
    const complete = (...words: string[]): Promise<string> =>
      new Promise((resolve, reject) => {
        const list = words.map((word) => `'${word}'`).join(' ');
        const script = `set -u; source ${file}; COMP_WORDS=(morphling ${list}); COMP_CWORD=${words.length}; _morphling; echo "\${COMPREPLY[*]}"`;
        execFile('bash', ['-c', script], (error, out, err) =>
          error === null ? resolve(out.trim()) : reject(new Error(err)),
        );
      });
    expect(await complete('dem')).toBe('demo');
    expect(await complete('bypass', 'o')).toBe('on off');
    expect(await complete('status', '-o', 'j')).toBe('json');
    expect((await complete('apply', '--')).split(' ')).toEqual(expect.arrayContaining(['--batch', '--immediate']));
  });

  test.skipIf(!has('zsh'))('zsh loads it (skipped where zsh is not installed)', async () => {
    const { stdout } = await morphling(['completion', 'zsh']);
    writeFileSync(join(folder, '_morphling'), stdout);
    await expect(
      run('zsh', ['-fc', `autoload -U compinit; compinit -D; source ${join(folder, '_morphling')}`]),
    ).resolves.toBe(0);
  });

  test.skipIf(!has('fish'))('fish loads it (skipped where fish is not installed)', async () => {
    const { stdout } = await morphling(['completion', 'fish']);
    writeFileSync(join(folder, 'morphling.fish'), stdout);
    await expect(run('fish', ['-N', '-c', `source ${join(folder, 'morphling.fish')}`])).resolves.toBe(0);
  });

  const run = (shell: string, args: string[]): Promise<number> =>
    new Promise((resolve) => {
      execFile(shell, args, (error, _out, err) => resolve(error === null && err === '' ? 0 : 1));
    });
});

describe('emulate', () => {
  const id = 'SE-ResNeXt101-32x4d|V100-16GB|FP32|PyTorch';
  const file = join(root, 'sidecar/lab/data/gpu-latency-profiles.csv');

  test('answers as fast as the profile says, within a few per cent', async () => {
    const args = ['emulate', '--profile', file, '--profile-id', id, '--listen', '127.0.0.1:0', '--model', 'm'];
    const { child, match } = await start(args, /listening on (http:\S+)/);
    const curve = createCurve(findProfile(parseProfiles(readFileSync(file, 'utf8')), id).points);
    const ask = async (items: number): Promise<void> => {
      const data = Array.from({ length: items }, (_, index) => index);
      const body = JSON.stringify({ inputs: [{ name: 'INPUT0', datatype: 'FP32', shape: [items, 1], data }] });
      const answer = await fetch(`${match[1]}/v2/models/m/infer`, { method: 'POST', body });
      expect(await answer.json()).toMatchObject({ outputs: [{ data }] });
    };
    const totals = async (): Promise<{ modelledS: number; lateS: number }> => {
      const page = await (await fetch(`${match[1]}/metrics`)).text();
      const read = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(page)?.[1]);
      return { modelledS: read('emulator_modelled_seconds_total'), lateS: read('emulator_late_seconds_total') };
    };
    for (let i = 0; i < 10; i++) await ask(1);
    for (const items of [1, 8, 32]) {
      const count = 41;
      const before = await totals();
      const tookMs: number[] = [];
      for (let i = 0; i < count; i++) {
        const startMs = performance.now();
        await ask(items);
        tookMs.push(performance.now() - startMs);
      }
      const after = await totals();
      const wantedMs = curve.latencyMs(items);
      // What the server set out to do: 5 % noise over 41 batches is 0.8 % in the mean.
      const modelledMs = (1000 * (after.modelledS - before.modelledS)) / count;
      expect(Math.abs(modelledMs / wantedMs - 1)).toBeLessThan(0.04);
      // How late its timers were, and what a client saw in the middle, HTTP and a busy machine included.
      expect((1000 * (after.lateS - before.lateS)) / count / wantedMs).toBeLessThan(0.1);
      const medianMs = tookMs.sort((a, b) => a - b)[(count - 1) / 2] ?? 0;
      expect(medianMs / wantedMs).toBeGreaterThan(0.95);
      expect(medianMs / wantedMs).toBeLessThan(1.25);
    }
    const ended = new Promise((resolve) => child.on('exit', (code) => resolve(code)));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
  });

  test('an unknown profile names the nearest, a missing file is named, a taken port is exit 3', async () => {
    const unknown = await morphling([
      'emulate',
      '--profile-id',
      'SE-ResNeXt101|V100|FP32|PyTorch',
      '--listen',
      '127.0.0.1:0',
    ]);
    expect(unknown.code).toBe(1);
    expect(unknown.stderr).toContain('SE-ResNeXt101-32x4d|V100-16GB|FP32|PyTorch');
    expect((await morphling(['emulate', '--profile', '/nonexistent', '--profile-id', id])).code).toBe(1);
    expect((await morphling(['emulate'])).code).toBe(2);
    const { match } = await start(
      ['emulate', '--profile-id', id, '--listen', '127.0.0.1:0'],
      /listening on http:\/\/(\S+)/,
    );
    expect((await morphling(['emulate', '--profile-id', id, '--listen', match[1] ?? ''])).code).toBe(3);
  });
});

describe('the package', () => {
  test('runs from a tarball, where node refuses to strip types', async () => {
    // Built in a copy: a dist/ in the clone would be run instead of the sources from then on.
    const copy = join(folder, 'copy');
    for (const name of readdirSync(root))
      if (!['node_modules', 'dist', 'test', '.git', '.cache'].includes(name))
        cpSync(join(root, name), join(copy, name), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const packed = await new Promise<string>((resolve, reject) => {
      const env = { ...clean, PATH: `${dirname(process.execPath)}:${clean['PATH'] ?? ''}` };
      const args = ['pack', '--json', '--pack-destination', folder];
      execFile('npm', args, { cwd: copy, env, maxBuffer: 1 << 26 }, (error, out, err) => {
        if (error === null) resolve(/"filename":\s*"([^"]+)"/.exec(out)?.[1] ?? '');
        else reject(new Error(out + err));
      });
    });
    const modules = join(folder, 'install', 'node_modules');
    await new Promise<void>((resolve, reject) => {
      execFile(
        'bash',
        [
          '-c',
          `mkdir -p ${modules} && tar -xzf ${join(folder, packed)} -C ${modules} && mv ${modules}/package ${modules}/morphling`,
        ],
        (error) => (error === null ? resolve() : reject(error)),
      );
    });
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
    for (const name of Object.keys(dependencies)) {
      const target = join(modules, name);
      if (name.includes('/')) cpSync(join(root, 'node_modules', name), target, { recursive: true });
      else symlinkSync(join(root, 'node_modules', name), target);
    }
    const installed = join(modules, 'morphling/src/cli/morphling.mjs');
    expect(existsSync(join(modules, 'morphling/src/cli/main.ts'))).toBe(false);
    expect((await morphling(['--help'], {}, installed)).stdout).toBe((await morphling(['--help'])).stdout);
    expect((await morphling(['agent', '--print-config'], {}, installed)).code).toBe(0);
    const emulated = await morphling(['emulate', '--profile-id', 'nothing'], {}, installed);
    // the shipped profiles are found: it is the id that is unknown
    expect(emulated.stderr).toContain('no profile');
  });
});
