// Which room may import which: the import table of the architecture, as a rule that fails the build.
// A line a room: [what it is, what it may import besides itself, which packages it may import].
const SIDECAR = ['proxy', 'sense', 'decide', 'act', 'control', 'link'];
const sidecar = (...rooms) => rooms.map((room) => `^sidecar/${room}/`);
const src = (...rooms) => rooms.map((room) => `^src/${room}/`);

/** @type {[room: string, mayImport: string[], packages: string[]][]} */
const rooms = [
  ['^src/core/', [], []],
  ['^src/config/', src('core'), ['typebox', 'yaml']],
  ['^src/api/', src('core', 'config'), ['typebox', 'yaml']],
  ['^src/wire/', src('core'), []],
  ['^src/telemetry/[^/]+$', src('core', 'telemetry'), []],
  ['^src/telemetry/accelerator/', src('core', 'telemetry'), ['execa', 'undici']],
  ['^src/telemetry/host/', src('core', 'telemetry'), ['systeminformation']],
  ['^src/telemetry/engine/', src('core', 'telemetry'), ['undici']],
  ['^src/model/', src('core'), []],
  ['^src/learn/', src('core'), ['@tensorflow/.*']],
  ['^src/traffic/', src('core'), []],
  ['^src/kube/', src('core'), ['@kubernetes/client-node']],
  ['^src/loadtest/', src('core', 'config', 'api', 'wire', 'telemetry', 'traffic'), ['undici']],
  ['^src/recommend/', src('core', 'config', 'api', 'wire', 'telemetry', 'traffic'), []],
  ['^src/allocate/', src('core', 'config', 'api'), ['highs']],
  ['^src/inject/', src('core', 'config', 'api'), []],
  ['^src/page/', src('core', 'config', 'api'), ['preact', 'htm', 'uplot']],
  [
    '^src/cluster/',
    src('core', 'config', 'api', 'kube', 'inject', 'allocate', 'learn'),
    ['hono', '@hono/.*', 'prom-client'],
  ],
  ['^sidecar/sense/', src('core'), []],
  ['^sidecar/act/', src('core'), ['undici']],
  ['^sidecar/proxy/', src('core', 'wire'), ['undici']],
  ['^sidecar/decide/', src('core', 'model', 'learn'), []],
  ['^sidecar/control/', src('core', 'config', 'api'), ['hono', '@hono/.*', 'prom-client']],
  ['^sidecar/link/', src('core', 'config', 'api'), ['undici']],
  ['^sidecar/loop\\.ts$', src('core'), []],
  ['^sidecar/supervisor\\.ts$', ['^sidecar/supervise/'], []],
  ['^sidecar/supervise/', [], []],
  [
    '^sidecar/lab/',
    [...src('core', 'model', 'learn', 'traffic', 'wire', 'config'), ...sidecar('proxy', 'sense', 'decide', 'act')],
    [],
  ],
  [
    // The two roots, and the parts that the first one is written in.
    '^sidecar/(main|mind)(\\.ts$|/)',
    [
      ...sidecar(...SIDECAR),
      '^sidecar/loop\\.ts$',
      ...src('core', 'config', 'api', 'wire', 'telemetry', 'model', 'learn'),
    ],
    [],
  ],
  [
    '^src/cli/',
    [
      '^sidecar/(main|mind|supervisor)\\.ts$',
      '^sidecar/lab/',
      '^src/cluster/main\\.ts$',
      ...src('core', 'config', 'api', 'kube', 'inject', 'loadtest', 'recommend', 'allocate', 'traffic'),
    ],
    ['undici', 'execa'],
  ],
];

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'lab-stays-out-of-the-agent',
      comment: 'the wind tunnel must not reach production: only cli and tests import it',
      severity: 'error',
      from: { pathNot: ['^src/cli/', '^test/', '^sidecar/lab/'] },
      to: { path: '^sidecar/lab/' },
    },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dev-dependency',
      severity: 'error',
      from: { path: '^(src|sidecar)/' },
      to: { dependencyTypes: ['npm-dev'] },
    },
  ],
  allowed: [
    ...rooms.flatMap(([room, mayImport, packages]) => [
      { from: { path: room }, to: { path: [room, ...mayImport] } },
      ...(packages.length === 0
        ? []
        : [{ from: { path: room }, to: { path: packages.map((name) => `node_modules/${name}/`) } }]),
    ]),
    { from: { path: '^(src|sidecar)/' }, to: { dependencyTypes: ['core'] } },
    // The supervisor runs on the standard library alone; types of ours are gone before it runs.
    { from: { path: '^sidecar/supervis' }, to: { path: '^src/core/', dependencyTypes: ['type-only'] } },
  ],
  allowedSeverity: 'error',
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    parser: 'swc',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default', 'types'] },
  },
};
