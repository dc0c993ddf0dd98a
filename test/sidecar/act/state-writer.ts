// Child of state.test.ts: writes one state after another and says when each is on the disk, until it is killed.
import { StateStore } from '../../../sidecar/act/state.ts';

const store = new StateStore({ dir: process.argv[2] ?? '', name: 'settings' });
const loaded = await store.load();
let n = loaded.kind === 'loaded' ? (loaded.value as { n: number }).n : 0;
for (;;) {
  n++;
  store.save({ n, filler: String(n % 10).repeat(20_000) });
  await store.flush();
  process.stdout.write(`${n}\n`);
}
