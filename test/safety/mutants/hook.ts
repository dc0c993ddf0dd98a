// Breaks one module of an agent while it is loaded, so that a suite can show that it would notice. Loaded by tests
// through `node --import`, never by production code; MORPHLING_TEST_MUTANT names the mutant.
import { registerHooks } from 'node:module';
import { mutants } from './table.ts';

const name = process.env['MORPHLING_TEST_MUTANT'];
const mutant = mutants.find((one) => one.name === name);
if (name !== undefined && name !== 'none' && mutant === undefined) fail(`no mutant ${name}`);
if (mutant !== undefined) {
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const changes = mutant.changes.filter(({ file }) => url.endsWith(`/${file}`));
      if (changes.length === 0) return loaded;
      let source = Buffer.from((loaded.source ?? '') as string | Uint8Array).toString();
      for (const { from, to } of changes) {
        if (from !== null && !source.includes(from)) fail(`mutant ${name} no longer applies: ${from} is not in ${url}`);
        source = from === null ? to : source.replaceAll(from, to);
      }
      return { ...loaded, source };
    },
  });
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(70);
}
