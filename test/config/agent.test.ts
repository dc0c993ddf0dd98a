import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAgentConfig } from '../../src/config/agent.ts';
import { AGENT_FIELDS } from '../../src/config/agent-fields.ts';
import { toStateDirs } from '../../src/config/state-dir.ts';
import { toHelp, toMarkdownTable, toYaml } from '../../src/config/print.ts';
import { type Issue, MorphlingError } from '../../src/core/errors.ts';
import { DEFAULT_POLICY } from '../../src/core/policy.ts';

const file = (text: string) => ({ name: 'morphling.yaml', text });
const parse = (text: string, env = {}, flags = {}) => parseAgentConfig({ file: file(text), env, flags });

function issuesOf(run: () => unknown): readonly Issue[] {
  try {
    run();
  } catch (error) {
    if (error instanceof MorphlingError && error.code === 'BAD_CONFIG') return error.issues;
    throw error;
  }
  return [];
}

describe('where values come from', () => {
  test('with nothing given, every default of the table and the default policy hold', () => {
    const config = parseAgentConfig({ env: {}, flags: {} });
    expect(config.listen).toEqual({ host: '0.0.0.0', port: 8080 });
    expect(config.control).toEqual({ host: '127.0.0.1', port: 9465 });
    expect(config.metrics).toEqual({ host: '0.0.0.0', port: 9464 });
    expect(config.upstream).toBe('http://127.0.0.1:8000');
    expect(config.policy).toEqual(DEFAULT_POLICY);
    expect(config.invalid).toEqual([]);
  });

  test('flags win over environment, environment over file, file over defaults', () => {
    const text = 'listen: 127.0.0.1:1\nlogLevel: warn\ndrain: {delayMs: 7}\n';
    const env = { MORPHLING_LISTEN: '127.0.0.1:2', MORPHLING_LOG_LEVEL: 'error', MORPHLING_SLA_P99_MS: '85' };
    const config = parse(text, env, { listen: '[::1]:3', 'fail-open': true, output: 'json' });
    expect(config.listen).toEqual({ host: '::1', port: 3 });
    expect(config.logLevel).toBe('error');
    expect(config.drain.delayMs).toBe(7);
    expect(config.policy.sla.p99Ms).toBe(85);
    expect(config.failOpen).toBe(true);
  });

  test('an empty environment variable counts as not given, and Kubernetes service links are not ours', () => {
    const env = {
      MORPHLING_UPSTREAM: '',
      MORPHLING_CONTROL_PORT: 'tcp://10.0.0.1:8090',
      MORPHLING_METRICS_SERVICE_HOST: '10.0.0.1',
      MORPHLING_LISTEN_PORT_8090_TCP_ADDR: '10.0.0.1',
      MORPHLING_SOMETHING_ELSE_ENTIRELY: '1',
    };
    expect(parseAgentConfig({ env, flags: {} }).upstream).toBe('http://127.0.0.1:8000');
  });

  test('lists and maps can be given as text', () => {
    const env = {
      MORPHLING_BATCH_KEY_HEADERS: 'x-tenant, x-user',
      MORPHLING_BOUNDS_BATCH_SIZE: '[1, 32]',
      MORPHLING_MODELS: '{"ranker": {"batchable": true}}',
      MORPHLING_TRIAL_STAGES: '0.5,1',
    };
    const config = parseAgentConfig({ env, flags: {} });
    expect(config.batch.keyHeaders).toEqual(['x-tenant', 'x-user']);
    expect(config.policy.bounds.batchSize).toEqual([1, 32]);
    expect(config.policy.trial.stages).toEqual([0.5, 1]);
    expect(config.models).toEqual({ ranker: { batchable: true } });
  });

  test('a missing host means all interfaces, but loopback for the control port', () => {
    const config = parse('listen: ":1"\ncontrol: ":2"\nmetrics: ":3"\n');
    expect([config.listen.host, config.control.host, config.metrics.host]).toEqual(['0.0.0.0', '127.0.0.1', '0.0.0.0']);
  });

  test('the configuration is frozen at every depth', () => {
    const config = parse('models: {a: {batchable: true}}');
    for (const part of [config, config.policy, config.policy.trial.stages, config.models['a'], config.listen]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});

describe('bad configuration', () => {
  test('every bad field of every source is named at once, with what was expected, what came and from where', () => {
    const text =
      'upstrem: http://a\npolicy:\n  mode: fast\n  sla: {p99Ms: -1}\n  trial: {stages: [1, 0.5]}\nlogLevel: loud\n';
    const issues = issuesOf(() =>
      parse(text, { MORPHLING_DRAIN_DELAY_MS: 'soon', MORPHLING_UPSTREM: 'x' }, { control: '0.0.0.0:1' }),
    );
    expect(issues).toEqual([
      { field: 'upstrem', expected: 'no such key; did you mean upstream?', got: '"upstrem"' },
      { field: 'policy.mode', expected: 'one of performance, cost, balanced', got: '"fast"' },
      { field: 'policy.sla.p99Ms', expected: 'a number above 0, up to 600000', got: '-1' },
      { field: 'logLevel', expected: 'one of debug, info, warn, error', got: '"loud"' },
      { field: 'drain.delayMs', expected: 'a number from 0 to 3600000', got: '"soon" from MORPHLING_DRAIN_DELAY_MS' },
      { field: 'MORPHLING_UPSTREM', expected: 'no such variable; did you mean MORPHLING_UPSTREAM?', got: 'a value' },
      {
        field: 'control',
        expected: 'a loopback address, since whoever reaches it may change settings',
        got: '"0.0.0.0:1"',
      },
    ]);
  });

  test.each([
    ['listen: 127.0.0.1:9465', 'control'], // same port twice, by default
    ['listen: ":5"\nmetrics: ":5"', 'metrics'],
    ['upstream: http://localhost:8080', 'upstream'], // ourselves: an endless loop
    ['upstream: http://127.0.0.1:8000/v2', 'upstream'],
    ['upstream: https://127.0.0.1:8000', 'upstream'],
    ['upstream: http://user:secret@127.0.0.1:8000', 'upstream'],
    ['listen: 127.0.0.1:70000', 'listen'],
    ['listen: "[::zz]:1"', 'listen'],
    ['listen: 8080', 'listen'],
    ['policy: {trial: {stages: [0.1, 0.5]}}', 'policy.trial.stages'],
    ['policy: {trial: {stages: [0.5, 0.5, 1]}}', 'policy.trial.stages'],
    ['policy: {bounds: {batchSize: [8, 4]}}', 'policy.bounds.batchSize'],
    ['policy: {bounds: {batchSize: [0, 4]}}', 'policy.bounds.batchSize[0]'],
    ['policy: {bounds: {batchSize: [1, 2, 3]}}', 'policy.bounds.batchSize'],
    ['policy: {sampling: {intervalS: 5, burstIntervalS: 6}}', 'policy.sampling.burstIntervalS'],
    ['policy: {weights: {performance: 0.7, cost: 0.7}}', 'policy.weights'],
    ['policy: {weights: {performance: 1}}', 'policy.weights'],
    ['policy: {sla: {p99Ms: 50}, bounds: {batchDelayMs: [0, 50]}}', 'policy.bounds.batchDelayMs'],
    ['policy: fast', 'policy'],
    ['models: {a: {batchble: true}}', 'models.a.batchble'],
    ['batch: {keyHeaders: ["bad header"]}', 'batch.keyHeaders[0]'],
    ['drain: {delayMs: .nan}', 'drain.delayMs'],
    ['- a', ''],
    ['listen: :1\nlisten: :2', 'morphling.yaml'], // duplicate key
    ['a: &x [1]\nb: *x', 'morphling.yaml'],
    ['a: [', 'morphling.yaml'],
    ['a: !!js/function x', 'morphling.yaml'],
    ['---\na: 1\n---\nb: 2', 'morphling.yaml'],
    ['{[1]: 2}', 'morphling.yaml'],
  ])('%j is refused at %s', (text, field) => {
    expect(issuesOf(() => parse(text)).map((issue) => issue.field)).toContain(field);
  });

  test('a fault of one field accuses no other', () => {
    expect(issuesOf(() => parse('listen: nonsense\nmetrics: ":8080"')).map(({ field }) => field)).toEqual(['listen']);
  });

  test('the password of a URL is never printed', () => {
    const [issue] = issuesOf(() => parse('upstream: http://user:hunter2@127.0.0.1:8000'));
    expect(issue?.got).toBe('"http://***@127.0.0.1:8000"');
  });

  test('an alias bomb and an oversized or deeply nested file are refused quickly', () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
      .split('')
      .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[index]}`).join(',')}]`)
      .join('\n')}`;
    const startedMs = performance.now();
    expect(issuesOf(() => parse(bomb))[0]?.expected).toBe('YAML without anchors and aliases');
    expect(issuesOf(() => parse(`a: ${'x'.repeat(300_000)}`))[0]?.expected).toBe('at most 262144 bytes');
    expect(issuesOf(() => parse('['.repeat(100_000)))).not.toEqual([]);
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });
});

describe('fail-open', () => {
  const open = (text: string, env = {}) => parseAgentConfig({ file: file(text), env, flags: {}, failOpen: true });

  test('a bad key keeps its default, good keys stay, and a sentence tells', () => {
    const config = open('logLevel: loud\ndrain: {delayMs: 1}');
    expect([config.logLevel, config.drain.delayMs]).toEqual(['info', 1]);
    expect(config.invalid).toEqual(['logLevel: expected one of debug, info, warn, error, got "loud"']);
  });

  test('a bad policy is the whole default policy, so that half a policy never steers', () => {
    const config = open('policy: {mode: cost, sla: {p99Ms: -1}}');
    expect(config.policy).toEqual(DEFAULT_POLICY);
    expect(config.invalid).toHaveLength(1);
  });

  test('a bad file counts as absent while environment and flags still hold', () => {
    const config = open('a: [', { MORPHLING_LISTEN: '0.0.0.0:19480', MORPHLING_UPSTREAM: 'http://127.0.0.1:5000' });
    expect([config.listen.port, config.upstream, config.invalid.length]).toEqual([19480, 'http://127.0.0.1:5000', 1]);
  });

  test('a port that collides even by default goes to any free one, and the data port keeps its own', () => {
    const config = open('listen: 0.0.0.0:9465\ncontrol: 127.0.0.1:9465');
    expect([config.listen.port, config.control.port]).toEqual([9465, 0]);
  });

  test('whether to fail open can come from the sources themselves', () => {
    expect(parse('failOpen: true\nlogLevel: loud').invalid).toHaveLength(1);
    expect(parse('logLevel: loud', { MORPHLING_FAIL_OPEN: 'true' }).failOpen).toBe(true);
  });

  test('it never throws, whatever the file and the environment say', () => {
    const keys = Object.keys(AGENT_FIELDS);
    const names = Object.values(AGENT_FIELDS).map(({ env }) => env);
    const value = fc.oneof(fc.json(), fc.string(), fc.constantFrom('[', '{a: {b: 1}}', ':1', '0', '__proto__: 1'));
    fc.assert(
      fc.property(fc.constantFrom(...keys), value, fc.constantFrom(...names), value, (key, inFile, name, inEnv) => {
        const config = open(`${key.split('.').join(':\n ')}: ${inFile}`, { [name]: inEnv });
        expect(config.listen.port).toBeGreaterThanOrEqual(0);
        expect(config.policy.trial.stages.at(-1)).toBe(1);
      }),
      { numRuns: 300 },
    );
  });
});

describe('printing', () => {
  test('what --print-config shows gives the same configuration again', () => {
    const text =
      'listen: "[::1]:1"\nmodels: {"a.b": {batchable: false}, __proto__: {maxBatchSize: 2}}\npolicy: {mode: cost, sla: {p99Ms: 20}}';
    for (const config of [parseAgentConfig({ env: {}, flags: {} }), parse(text)]) {
      expect(parse(toYaml(config))).toEqual(config);
    }
  });

  test('what fail-open let pass stands above the printed configuration as comments', () => {
    const config = parseAgentConfig({ file: file('logLevel: "a\\nb"'), env: {}, flags: {}, failOpen: true });
    expect(toYaml(config)).toMatch(/^# ignored: logLevel: expected .*\n/);
    expect(parse(toYaml(config)).logLevel).toBe('info');
  });

  test('help names every flag once, with environment, bounds and default', () => {
    const help = toHelp(AGENT_FIELDS);
    expect(help).toContain('--sla-p99-ms <ms>  MORPHLING_SLA_P99_MS  policy.sla.p99Ms');
    expect(help).toContain('--fail-open  MORPHLING_FAIL_OPEN');
    expect(help).not.toContain('drain.delayMs');
    expect(toHelp(AGENT_FIELDS, true)).toContain('drain.delayMs');
  });

  test('the table for the README has a row for every field', () => {
    expect(toMarkdownTable(AGENT_FIELDS).trimEnd().split('\n')).toHaveLength(Object.keys(AGENT_FIELDS).length + 2);
  });
});

describe('the field table', () => {
  test('environment names and flags are unique, and every default is well by its own schema', () => {
    const fields = Object.values(AGENT_FIELDS);
    const flags = fields.flatMap(({ flag }) => (flag === undefined ? [] : [flag]));
    expect(new Set(fields.map(({ env }) => env)).size).toBe(fields.length);
    expect(new Set(flags).size).toBe(flags.length);
    for (const { doc, env } of fields) {
      expect(env).toMatch(/^MORPHLING_[A-Z0-9_]+$/);
      expect(doc).toMatch(/^[A-Z].+\.$/);
    }
  });

  test('state falls back to the XDG folder, then to the home folder', () => {
    expect(toStateDirs('/var/lib/morphling', { XDG_STATE_HOME: '/x' })).toEqual(['/var/lib/morphling', '/x/morphling']);
    expect(toStateDirs('/s', { HOME: '/h', XDG_STATE_HOME: 'relative' })).toEqual(['/s', '/h/.local/state/morphling']);
    expect(toStateDirs('/s', {})).toEqual(['/s']);
  });
});
