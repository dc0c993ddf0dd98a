// Python environments for the servers and clients under test: installed once into a cache, then found there.
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { missing } from '../skip.ts';
import type { Missing } from '../skip.ts';
import { guardGroup } from './guard.ts';
import { acquireLock } from './lock.ts';

export const ENVIRONMENT_NAMES = ['mlserver', 'kserve', 'triton', 'clients'] as const;

export type EnvironmentName = (typeof ENVIRONMENT_NAMES)[number];

/** An installed environment. */
export interface Environment {
  readonly kind: 'ready';
  readonly name: EnvironmentName;
  readonly folder: string;
  /** Its interpreter. */
  readonly python: string;
  readonly sitePackages: string;
  /** Where libpython lies, which a program that embeds Python must be told. */
  readonly libraryFolder: string;
  readonly installMs: number;
}

/** The pins are of one Python: other versions lack some of these wheels. */
const PYTHON_VERSION = '3.11';
const STAMP = '.complete';
const run = promisify(execFile);

/** Where environments are kept, outside the work tree: MORPHLING_TEST_CACHE, else the user's cache folder. */
export function cacheFolder(): string {
  const caches = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  return process.env['MORPHLING_TEST_CACHE'] || join(caches, 'morphling-test');
}

/**
 * Gives an environment, installing it first where the cache lacks it: from the package index that pip is configured
 * for, in half a minute to some minutes. `report` gets a line of progress at a time. A failed install is a reason to
 * skip, not an error.
 */
export async function ensureEnvironment(
  name: EnvironmentName,
  report: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<Environment | Missing> {
  const requirements = join(import.meta.dirname, 'requirements', `${name}.txt`);
  const text = await readFile(requirements, 'utf8');
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 12);
  const folder = join(cacheFolder(), `${name}-${digest}`);
  const say = (line: string): void => report(`[${name}] ${line}`);
  try {
    const found = await readStamp(folder);
    if (found !== undefined) return found;
    await mkdir(cacheFolder(), { recursive: true });
    using _lock = await acquireLock(`${folder}.lock`, () => say('waiting for another run that installs it'));
    return (await readStamp(folder)) ?? (await install(name, folder, requirements, say));
  } catch (error) {
    return missing(`${name} cannot be installed: ${(error as Error).message}`);
  }
}

/** As `ensureEnvironment`, where without it nothing can go on. */
export async function requireEnvironment(name: EnvironmentName): Promise<Environment> {
  const found = await ensureEnvironment(name);
  if (found.kind === 'missing') throw new Error(found.reason);
  return found;
}

async function readStamp(folder: string): Promise<Environment | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, STAMP), 'utf8')) as Environment;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Builds the environment in its final place, since the scripts in it hold that path, and stamps it last: a folder
 * without a stamp is what a broken install left, and goes.
 */
async function install(
  name: EnvironmentName,
  folder: string,
  requirements: string,
  say: (line: string) => void,
): Promise<Environment> {
  const start = performance.now();
  const base = await findPython();
  say(`installing into ${folder}`);
  await rm(folder, { recursive: true, force: true });
  await run(base, ['-m', 'venv', folder]);
  const python = join(folder, 'bin', 'python');
  await pipInstall(python, requirements, say);
  const script = 'import json, sysconfig as s; print(json.dumps([s.get_path("purelib"), s.get_config_var("LIBDIR")]))';
  const [sitePackages, libraryFolder] = JSON.parse((await run(python, ['-c', script])).stdout) as [string, string];
  if (name === 'triton') await placeStub(sitePackages);
  const installMs = Math.round(performance.now() - start);
  const environment: Environment = { kind: 'ready', name, folder, python, sitePackages, libraryFolder, installMs };
  await writeFile(join(folder, `${STAMP}.new`), JSON.stringify(environment));
  await rename(join(folder, `${STAMP}.new`), join(folder, STAMP));
  say(`done in ${(installMs / 1000).toFixed(0)} s`);
  return environment;
}

async function findPython(): Promise<string> {
  const asked = process.env['MORPHLING_TEST_PYTHON'];
  const candidates = asked ? [asked] : [`python${PYTHON_VERSION}`, 'python3', 'python'];
  for (const candidate of candidates) {
    try {
      const script = 'import sys; print("%d.%d" % sys.version_info[:2])';
      const { stdout } = await run(candidate, ['-c', script]);
      if (stdout.trim() === PYTHON_VERSION) return candidate;
    } catch {
      // not there, or not a Python
    }
  }
  throw new Error(`no Python ${PYTHON_VERSION} among ${candidates.join(', ')} (MORPHLING_TEST_PYTHON names one)`);
}

async function pipInstall(python: string, requirements: string, say: (line: string) => void): Promise<void> {
  const pip = ['-m', 'pip', '--disable-pip-version-check', '--no-input', 'install'];
  // Without dependencies: the lists are complete, and resolving takes longer than fetching.
  const child = spawn(python, [...pip, '--no-deps', '--progress-bar', 'off', '-r', requirements], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // A pip left behind would write into the folder that the next run clears.
  using _guard = child.pid === undefined ? undefined : guardGroup(child.pid);
  const end = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  let problem = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    problem = (problem + text).slice(-2000);
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const pin = /^Collecting (\S+)/.exec(line)?.[1];
    if (pin !== undefined) say(pin);
    else if (line.startsWith('Installing collected')) say('unpacking');
  }
  if ((await end) !== 0) throw new Error(`pip failed: ${problem.trim().split('\n').slice(-3).join(' | ')}`);
}

/** Triton looks for the process that runs Python models beside the backend; the wheel keeps one a version elsewhere. */
async function placeStub(sitePackages: string): Promise<void> {
  const root = join(sitePackages, 'pytriton', 'tritonserver');
  const stub = 'triton_python_backend_stub';
  await copyFile(join(root, 'python_backend_stubs', PYTHON_VERSION, stub), join(root, 'backends', 'python', stub));
}
