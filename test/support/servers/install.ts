// Installs the environments that the end-to-end tests need, ahead of them: the tests install what they miss anyway.
// usage: node test/support/servers/install.ts [mlserver|kserve|triton|clients ...]      (all if none is named)
import { ENVIRONMENT_NAMES, cacheFolder, ensureEnvironment } from './environment.ts';
import type { EnvironmentName } from './environment.ts';

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(ENVIRONMENT_NAMES as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`unknown: ${unknown.join(', ')}\nusage: node install.ts [${ENVIRONMENT_NAMES.join('|')} ...]`);
  process.exit(2);
}
console.error(`cache: ${cacheFolder()}`);
// One after another: pip unpacks on every core there is.
for (const name of asked.length > 0 ? (asked as EnvironmentName[]) : ENVIRONMENT_NAMES) {
  const found = await ensureEnvironment(name);
  if (found.kind === 'ready') {
    console.log(`${name}\t${found.folder}`);
  } else {
    console.error(found.reason);
    process.exitCode = 1;
  }
}
