import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Call } from '../../src/cli/command.ts';
import { injectCommand } from '../../src/cli/inject.ts';
import { createOutput } from '../../src/cli/output.ts';
import { uninjectCommand } from '../../src/cli/uninject.ts';

const folder = mkdtempSync(join(tmpdir(), 'morphling-inject-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const DEPLOYMENT = `# a comment to keep
apiVersion: apps/v1
kind: Deployment
metadata:
  name: m
spec:
  template:
    metadata:
      labels:
        app: m
    spec:
      containers:
        - name: m # the model
          image: i
          ports:
            - name: http
              containerPort: 8000
`;
const UNTOUCHED = `---
# odd   spacing, kept
apiVersion:   v1
kind: ConfigMap
data: {mode: 0644,  on:   "x"}
`;
const SERVICE = `---
apiVersion: v1
kind: Service
metadata: {name: m}
spec: {selector: {app: m}, ports: [{port: 80, targetPort: 8000}]}
`;

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

async function run(
  command: typeof injectCommand,
  over: Partial<Call>,
): Promise<{ code: number; out: string; err: string }> {
  const written = { out: '', err: '' };
  const output = createOutput({
    stdout: { write: (text) => (written.out += text) },
    stderr: { write: (text) => (written.err += text) },
    env: {},
  });
  const call = { texts: {}, flags: new Set<string>(), lists: {}, positionals: [], output, env: {}, ...over };
  const code = await command.run({
    ...call,
    loadCommands: () => Promise.resolve([]),
    signal: new AbortController().signal,
  });
  return { code, ...written };
}

describe('inject and uninject', () => {
  let stream: string;
  let injected: string;
  beforeAll(async () => {
    stream = file('in.yaml', DEPLOYMENT + UNTOUCHED + SERVICE);
    const { code, out } = await run(injectCommand, { lists: { filename: [stream] } });
    expect(code).toBe(0);
    injected = file('out.yaml', out);
  });

  test('data to stdout, talk to stderr; comments and untouched documents stay byte for byte', async () => {
    const { out, err } = await run(injectCommand, { lists: { filename: [stream] } });
    expect(out).toContain('name: morphling-agent');
    expect(out).toContain('# a comment to keep');
    expect(out).toContain('- name: m # the model');
    expect(out).toContain(UNTOUCHED);
    expect(out).toContain('targetPort: http');
    expect(err).toContain('deployment/m: injected: a native sidecar before m:8000');
    expect(err).toContain('service/m: retargeted');
  });

  test('a second run gives the same bytes', async () => {
    const { code, out, err } = await run(injectCommand, { lists: { filename: [injected] } });
    expect([code, out]).toEqual([0, readFileSync(injected, 'utf8')]);
    expect(err).toContain('there already');
  });

  test('uninject gives the objects back as they were', async () => {
    const back = await run(uninjectCommand, { lists: { filename: [injected] }, texts: { output: 'json' } });
    const before = await run(uninjectCommand, { lists: { filename: [stream] }, texts: { output: 'json' } });
    expect(JSON.parse(back.out)).toEqual(JSON.parse(before.out));
    expect(before.err).toContain('no agent of ours');
  });

  test('several files are one stream, with a marker between them', async () => {
    const files = [file('a.yaml', SERVICE.replace('---\n', '').trimEnd()), file('b.yaml', DEPLOYMENT)];
    const { out } = await run(injectCommand, { lists: { filename: files } });
    expect(out).toMatch(/targetPort: http\}\]\}?\n---\n# a comment/);
  });

  test('-o json is one document: a List where there are several', async () => {
    const { out } = await run(injectCommand, { lists: { filename: [stream] }, texts: { output: 'json' } });
    expect(JSON.parse(out)).toMatchObject({
      kind: 'List',
      items: [{ kind: 'Deployment' }, { kind: 'ConfigMap' }, { kind: 'Service' }],
    });
    const one = await run(injectCommand, { positionals: [file('one.yaml', DEPLOYMENT)], texts: { output: 'json' } });
    expect(JSON.parse(one.out)).toMatchObject({ kind: 'Deployment' });
  });

  test('JSON comes back as JSON, and as YAML when asked for', async () => {
    const json = file('l.json', JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [] }));
    const { out } = await run(injectCommand, { positionals: [json] });
    expect(JSON.parse(out)).toEqual({ apiVersion: 'v1', kind: 'List', items: [] });
    expect((await run(injectCommand, { positionals: [json], texts: { output: 'yaml' } })).out).toBe(
      'apiVersion: v1\nkind: List\nitems: []\n',
    );
  });

  test('a bad file prints nothing, so that a pipe applies nothing', async () => {
    const bad = file('bad.yaml', `${DEPLOYMENT}---\na: [\n`);
    await expect(run(injectCommand, { lists: { filename: [bad] } })).rejects.toThrow(/document 2/);
    await expect(run(injectCommand, { positionals: [join(folder, 'none.yaml')] })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  test('exits 1 when all that was asked for was refused, and passes it on', async () => {
    const text = DEPLOYMENT.replace('      containers:', '      hostNetwork: true\n      containers:');
    const { code, out, err } = await run(injectCommand, { positionals: [file('host.yaml', text)] });
    expect([code, out]).toEqual([1, text]);
    expect(err).toContain('× deployment/m: refused: hostNetwork');
    expect(err).toContain('remove hostNetwork');
  });

  test('without a file, or with a bad option, it is a matter of usage', async () => {
    expect((await run(injectCommand, {})).code).toBe(2);
    expect((await run(uninjectCommand, {})).code).toBe(2);
    expect((await run(injectCommand, { positionals: [stream], lists: { set: ['x'] } })).code).toBe(2);
  });
});
