// The bench's own Go programs (`go/`): load generator, fast upstream, and the plain reverse proxy it is measured against.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runToEnd, type Recipe } from './tools.ts';

const sources = join(import.meta.dirname, 'go');

/** Needs a Go toolchain on PATH; the module has no dependencies, so nothing is fetched. About 10 s the first time. */
export function toGoTools(): Recipe {
  return {
    name: 'go-tools',
    content: readdirSync(sources, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(?:go|mod)$/.test(name))
      .sort()
      .map((name) => `${name}\n${readFileSync(join(sources, name), 'utf8')}`)
      .join('\n'),
    async build(folder) {
      await runToEnd('go', ['build', '-trimpath', '-buildvcs=false', '-o', `${folder}/`, './...'], {
        cwd: sources,
        env: { CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off', GOTOOLCHAIN: 'local' },
      });
    },
  };
}
