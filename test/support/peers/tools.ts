// Programs that the benches measure against, or measure with: built or fetched once into the cache, then found there.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { missing, type Missing } from '../skip.ts';
import { cacheFolder } from '../servers/environment.ts';
import { acquireLock } from '../servers/lock.ts';

/** How a tool gets into the cache. */
export interface Recipe {
  readonly name: string;
  /** Whatever decides what is built: pins, sources. Another text, another folder. */
  readonly content: string;
  /** Fills the empty folder; throws when it cannot. */
  build(folder: string, say: (line: string) => void): Promise<void>;
}

/** A tool that is there. */
export interface Tool {
  readonly kind: 'ready';
  readonly name: string;
  readonly folder: string;
}

const STAMP = '.complete';
const execute = promisify(execFile);

/**
 * Gives a tool, making it first where the cache lacks it. One process at a time makes it; a folder without a stamp is
 * what a broken attempt left, and goes. A failure is a reason to skip, not an error.
 */
export async function ensureTool(
  recipe: Recipe,
  report: (line: string) => void = (line) => process.stderr.write(`${line}\n`),
): Promise<Tool | Missing> {
  const digest = createHash('sha256').update(recipe.content).digest('hex').slice(0, 12);
  const folder = join(cacheFolder(), `${recipe.name}-${digest}`);
  const tool: Tool = { kind: 'ready', name: recipe.name, folder };
  const say = (line: string): void => report(`[${recipe.name}] ${line}`);
  try {
    if (await isComplete(folder)) return tool;
    await mkdir(cacheFolder(), { recursive: true });
    using _lock = await acquireLock(`${folder}.lock`, () => say('waiting for another run that makes it'));
    if (await isComplete(folder)) return tool;
    say(`making ${folder}`);
    const startMs = performance.now();
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true });
    await recipe.build(folder, say);
    const tookS = ((performance.now() - startMs) / 1000).toFixed(1);
    await writeFile(join(folder, `${STAMP}.new`), `${tookS} s\n`);
    await rename(join(folder, `${STAMP}.new`), join(folder, STAMP));
    say(`done in ${tookS} s`);
    return tool;
  } catch (error) {
    return missing(
      `${recipe.name} cannot be made: ${(error as Error).message.trim().split('\n').slice(-3).join(' | ')}`,
    );
  }
}

/** Whether the cache holds the tool already; makes nothing. */
export async function findTool(recipe: Recipe): Promise<Tool | Missing> {
  const digest = createHash('sha256').update(recipe.content).digest('hex').slice(0, 12);
  const folder = join(cacheFolder(), `${recipe.name}-${digest}`);
  if (await isComplete(folder)) return { kind: 'ready', name: recipe.name, folder };
  return missing(`${recipe.name} is not in the cache; node test/support/peers/install.ts ${recipe.name}`);
}

/** Runs a program to its end, at the lowest priority when `isPatient`. Throws with the end of what it said. */
export async function runToEnd(
  file: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly isPatient?: boolean;
  } = {},
): Promise<string> {
  const [program, rest] = options.isPatient === true ? ['nice', ['-n', '19', file, ...args]] : [file, [...args]];
  const { stdout } = await execute(program, rest, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    maxBuffer: 16 << 20,
  });
  return stdout;
}

async function isComplete(folder: string): Promise<boolean> {
  try {
    await readFile(join(folder, STAMP));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
