// The performance bench. usage: npm run bench -- [NAME ...] [--rounds N] [--duration S] [--seed N] [--out FOLDER]
// Prints a Markdown table a question to stdout, keeps the whole as JSON; progress goes to stderr.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildAgent } from '../support/peers/built-agent.ts';
import { toGoTools } from '../support/peers/go-tools.ts';
import { ensureTool, runToEnd } from '../support/peers/tools.ts';
import { addedLatency } from './added-latency.ts';
import { batched } from './batched.ts';
import { envoyAdaptive } from './envoy-adaptive.ts';
import { footprint } from './footprint.ts';
import { passthrough } from './passthrough.ts';
import type { Answer, Bench, Question, Spread } from './question.ts';
import { toText } from './rounds.ts';

const QUESTIONS: readonly Question[] = [passthrough, batched, addedLatency, envoyAdaptive, footprint];
const ROUNDS = 5;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: String(ROUNDS) },
    duration: { type: 'string' },
    seed: { type: 'string', default: '1' },
    out: { type: 'string', default: '.cache/bench' },
    help: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !QUESTIONS.some((question) => question.name === name));
const rounds = Number(values.rounds);
const seed = Number(values.seed);
const durationS = values.duration === undefined ? null : Number(values.duration);
const isBad = !(rounds >= 1) || !Number.isInteger(seed) || (durationS !== null && !(durationS > 0));
if (values.help || unknown.length > 0 || isBad) {
  for (const { name, question } of QUESTIONS) console.error(`${name.padEnd(16)}${question}`);
  console.error('usage: npm run bench -- [NAME ...] [--rounds N] [--duration SECONDS] [--seed N] [--out FOLDER]');
  process.exit(values.help ? 0 : 2);
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const tools = await ensureTool(toGoTools(), say);
if (tools.kind === 'missing') {
  console.error(tools.reason);
  process.exit(1);
}
const folder = await mkdtemp(join(tmpdir(), 'morphling-bench-'));
try {
  say('compiling the agent');
  await using build = await buildAgent();
  // The hop has a processor of its own where there are two; load and upstream share the first.
  const cpu = availableParallelism() < 2 ? undefined : { subject: availableParallelism() - 1, others: 0 };
  for (const question of QUESTIONS) {
    if (positionals.length > 0 && !positionals.includes(question.name)) continue;
    say(`\n${question.name}: ${question.question}`);
    const bench: Bench = { build, tools, folder, rounds, durationS: durationS ?? question.durationS, seed, cpu, say };
    const loadBefore = loadavg()[0] ?? 0;
    const answer = await question.answer(bench);
    const record = { ...(await toRecord(question, bench, loadBefore)), ...answer };
    await mkdir(values.out, { recursive: true });
    const file = join(values.out, `${question.name}.json`);
    await writeFile(file, `${JSON.stringify(record, null, 1)}\n`);
    console.log(toMarkdown(question, answer));
    say(`kept in ${file}`);
    if (answer.verdicts.some(({ isMet }) => !isMet)) process.exitCode = 1;
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function toRecord(question: Question, bench: Bench, loadBefore: number): Promise<object> {
  const commit = await runToEnd('git', ['rev-parse', '--short', 'HEAD']).catch(() => 'unknown');
  const changed = await runToEnd('git', ['status', '--porcelain', 'src', 'sidecar']).catch(() => '');
  return {
    name: question.name,
    question: question.question,
    date: new Date().toISOString(),
    machine: {
      cpu: cpus()[0]?.model,
      processors: availableParallelism(),
      memoryBytes: totalmem(),
      kernel: release(),
      loadAverageBefore: loadBefore,
      loadAverageAfter: loadavg()[0],
    },
    node: process.version,
    commit: commit.trim() + (changed === '' ? '' : ' with changes'),
    rounds: bench.rounds,
    durationS: bench.durationS,
    seed: bench.seed,
  };
}

function toMarkdown({ question }: Question, { rows, verdicts, notes, versions }: Answer): string {
  const columns = [...new Set(rows.flatMap(({ cells }) => Object.keys(cells)))];
  const cell = (spread: Spread | undefined): string =>
    spread === undefined ? '' : `${toText(spread.median)} (${toText(spread.min)}–${toText(spread.max)})`;
  const against = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const about = [
    `${cpus()[0]?.model}, ${availableParallelism()} processors, Node ${process.versions.node}`,
    ...(against.length > 0 ? [against.join(', ')] : []),
    `load average ${toText(loadavg()[0] ?? 0)}`,
    new Date().toISOString().slice(0, 10),
  ];
  return [
    `### ${question}`,
    '',
    `median (min–max); ${about.join('; ')}`,
    '',
    `| | ${columns.join(' | ')} |`,
    `| --- |${' --- |'.repeat(columns.length)}`,
    ...rows.map(({ subject, cells }) => `| ${subject} | ${columns.map((name) => cell(cells[name])).join(' | ')} |`),
    '',
    '| goal | measured | limit | met |',
    '| --- | --- | --- | --- |',
    ...verdicts.map(
      ({ goal, measured, limit, isMet }) => `| ${goal} | ${cell(measured)} | ${limit} | ${isMet ? 'yes' : '**no**'} |`,
    ),
    '',
    ...notes.map((note) => `- ${note}`),
    '',
  ].join('\n');
}
