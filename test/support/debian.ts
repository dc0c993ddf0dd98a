// Programs that tests call and that come as Debian packages; the test run installs none of them.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { missing } from './skip.ts';
import type { Missing } from './skip.ts';

/** A program that is there, by its absolute path. */
export interface Program {
  readonly kind: 'ready';
  readonly path: string;
}

/** The Debian package of a program, where its name is another. */
const PACKAGES: Readonly<Record<string, string>> = { promtool: 'prometheus' };

/** Finds a program on PATH, or in the folders where Debian puts one that a short PATH leaves out. */
export function findProgram(name: string): Program | Missing {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin'];
  for (const folder of folders) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return { kind: 'ready', path };
    } catch {
      // not in this folder
    }
  }
  return missing(`${name} is not installed (Debian package ${PACKAGES[name] ?? name})`);
}
