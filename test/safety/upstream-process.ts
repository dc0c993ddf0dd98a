// A model server in a process of its own, so that it can be killed: V1 echo on a given port, which notes every item that
// it was asked to run in a file, before it answers. `node upstream-process.ts PORT FILE LATENCY_MS DRAIN_MS`
import { appendFileSync } from 'node:fs';
import { answerEcho, startRecorder } from '../support/wire-recorder.ts';

const [port = '0', file = '/dev/null', latencyMs = '0', drainMs = '0'] = process.argv.slice(2);
let inFlight = 0;

const recorder = await startRecorder(
  {
    request(seen) {
      for (const [item] of seen.body.toString().matchAll(/"item-[^"]+"/g)) appendFileSync(file, `${item}\n`);
      inFlight += 1;
      setTimeout(() => {
        inFlight -= 1;
        answerEcho(seen);
      }, Number(latencyMs));
    },
  },
  Number(port),
);
// As a model server with a preStop sleep: it serves on for a while, then ends what it has begun.
process.on('SIGTERM', () => {
  setTimeout(() => {
    const look = setInterval(() => {
      if (inFlight > 0) return;
      clearInterval(look);
      void recorder.close().then(() => process.exit(0));
    }, 5);
  }, Number(drainMs));
});
process.send?.('listening');
