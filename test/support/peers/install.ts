// Makes the programs that the benches need, ahead of them.
// usage: node test/support/peers/install.ts [go-tools|envoy|queue-proxy ...]      (the first two if none is named)
import { cacheFolder } from '../servers/environment.ts';
import { ENVOY } from './envoy.ts';
import { toGoTools } from './go-tools.ts';
import { QUEUE_PROXY } from './queue-proxy.ts';
import { ensureTool } from './tools.ts';

const recipes = [toGoTools(), ENVOY, QUEUE_PROXY];
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !recipes.some((recipe) => recipe.name === name));
if (unknown.length > 0) {
  console.error(
    `unknown: ${unknown.join(', ')}\nusage: node install.ts [${recipes.map(({ name }) => name).join('|')} ...]`,
  );
  process.exit(2);
}
console.error(`cache: ${cacheFolder()}`);
for (const recipe of recipes) {
  // The slow one only when it is asked for.
  if (asked.length > 0 ? !asked.includes(recipe.name) : recipe === QUEUE_PROXY) continue;
  const found = await ensureTool(recipe);
  if (found.kind === 'ready') console.log(`${found.name}\t${found.folder}`);
  else {
    console.error(found.reason);
    process.exitCode = 1;
  }
}
