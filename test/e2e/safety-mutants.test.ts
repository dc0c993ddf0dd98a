// The suites on trial: an agent broken on purpose, one property at a time, must be noticed by the suite that guards it.
// The same agent unbroken, with the same hook loaded, must pass all three: else "noticed" means nothing.
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { countEnded, createIdentityModel, runIdentity } from '../safety/identity.ts';
import { mutants, type Mutant } from '../safety/mutants/table.ts';
import { badAnswers } from '../support/corpus/answers.ts';
import { PATHS } from '../support/corpus/case.ts';
import { allCases } from '../support/corpus/cases.ts';
import { runAnswers } from '../support/corpus/run-answers.ts';
import { runShots, toShot } from '../support/corpus/run.ts';
import { startAgent, type AgentProcess } from '../support/peers/agent-process.ts';
import { toTestConfig } from '../support/peers/proxy-bench.ts';
import { printFigure } from '../support/scale.ts';
import { startRecorder } from '../support/wire-recorder.ts';

const HOOK = join(import.meta.dirname, '../safety/mutants/hook.ts');
const TIMEOUT_MS = 1_000;

/** What the suite found wrong, in its own words; a crash of the agent is one of them. */
async function findFaults(suite: Mutant['caughtBy'], mutant: string): Promise<string[]> {
  const model = createIdentityModel(1, 0.05, 0.05);
  const recorder = await startRecorder();
  const limits = { ...toTestConfig(recorder.origin).limits, upstreamTimeoutMs: TIMEOUT_MS };
  const env = { NODE_OPTIONS: `--import=${HOOK}`, MORPHLING_TEST_MUTANT: mutant };
  const agent = await startAgent(recorder.origin, { limits }, env);
  const pid = agent.pidOf('data');
  const faults: string[] = [];
  try {
    if (suite === 'cases') {
      const shots = Object.values(PATHS).flatMap((path) => allCases().map((one) => toShot(one, path)));
      faults.push(...(await runShots({ port: agent.port, recorder, parallel: 200 }, shots)).faults);
    } else if (suite === 'answers') {
      const answers = badAnswers().filter(({ group }) => group !== 'slow' && group !== 'interim');
      faults.push(...(await runAnswers(agent.port, recorder, answers, 'streamed', TIMEOUT_MS, 24)).faults);
    } else {
      recorder.script = model.script;
      const plan = { port: agent.port, requests: 3_000, callers: 100, seed: 1, cancelRatio: 0.1 };
      const tally = await runIdentity(plan);
      faults.push(...tally.mismatched, ...tally.lost, ...model.foreign, ...model.repeated);
      const ended = await countEnded(agent.metricsPort);
      if (ended > tally.sent) faults.push(`${ended} ends of ${tally.sent} requests`);
    }
  } catch (error) {
    faults.push(`the suite could not go on: ${String(error)}`);
  }
  if (agent.pidOf('data') !== pid) faults.push('the data process ended');
  faults.push(...toFaultLines(agent));
  await agent.stop('SIGKILL');
  await recorder.close();
  return faults;
}

function toFaultLines({ logs }: AgentProcess): string[] {
  return logs.filter((line) => /"level":"error"/.test(line) || /no longer applies|no mutant/.test(line));
}

describe('an agent that is whole', () => {
  test.each(['cases', 'answers', 'identity'] as const)('passes %s with the hook loaded', async (suite) => {
    expect(await findFaults(suite, 'none')).toEqual([]);
  });
});

describe('an agent that is broken', () => {
  test.each(mutants)('$name is noticed by $caughtBy: $breaks', async ({ name, caughtBy }) => {
    const faults = await findFaults(caughtBy, name);
    printFigure(`mutant ${name}`, {
      suite: caughtBy,
      faults: faults.length,
      first: (faults[0] ?? 'none').slice(0, 120),
    });
    expect(faults.length).toBeGreaterThan(0);
    expect(faults.filter((fault) => /no longer applies|no mutant/.test(fault))).toEqual([]);
  });
});
