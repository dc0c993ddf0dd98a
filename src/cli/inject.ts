// `morphling inject`: puts the agent into manifests, a pure filter.
import { isUrl } from '../config/address.ts';
import { INJECT_FIELDS, type InjectKey } from '../config/inject-fields.ts';
import { nearestWord } from '../core/nearest.ts';
import { type FilterOptions, injectObjects, isAllRefused } from '../inject/filter.ts';
import { toMinor } from '../inject/native.ts';
import type { GpuVisibility } from '../inject/result.ts';
import type { Call, Command } from './command.ts';
import { EXIT } from './exit-codes.ts';
import { runFilter, STREAM_OPTIONS } from './stream.ts';
import { readVersion } from './version.ts';

export const injectCommand: Command = {
  name: 'inject',
  summary: 'Put the agent into the pods of manifests, YAML or JSON, and send their Services to it.',
  positionals: '[FILE|-]',
  positionalCount: [0, 1],
  examples: [
    ['morphling inject -f deploy.yaml | kubectl apply -f -', 'a file'],
    ['kubectl get deploy -o yaml | morphling inject - | kubectl apply -f -', 'what runs already'],
    ['morphling inject -f deploy.yaml --set port=8080 --set mode=cost', 'with what annotations would say'],
  ],
  options: {
    ...STREAM_OPTIONS,
    labelled: { type: 'boolean', doc: 'Only pods that a label asks for; else all that have not opted out.' },
    set: {
      type: 'string',
      value: 'KEY=VALUE',
      multiple: true,
      doc: 'Stands in for the annotation config.morphling.io/KEY where a pod has none.',
    },
    image: { type: 'string', value: 'IMAGE', doc: "The agent's image; else morphling:VERSION." },
    native: {
      type: 'string',
      default: 'auto',
      choices: ['auto', 'true', 'false'],
      doc: 'A native sidecar or an ordinary container; auto goes by the version.',
    },
    'kubernetes-version': { type: 'string', value: 'V', doc: 'Of the cluster, such as 1.32; else a current one.' },
    gpu: {
      type: 'string',
      default: 'auto',
      choices: ['auto', 'dra', 'legacy', 'dcgm', 'inferred'],
      doc: 'How the agent sees the device, which it never requests.',
    },
    'dcgm-url': { type: 'string', value: 'URL', doc: "With --gpu dcgm: else port 9400 of the pod's own node." },
    ipv6: { type: 'boolean', doc: 'Listen on [::], for clusters with IPv6 only.' },
  },
  notes: [
    'What was done, and what to know about it, goes to stderr. A second run changes nothing. Documents that need no',
    'change pass byte for byte; comments stay, but in documents with aliases. Pods opt out with the label',
    'morphling.io/inject: "false".',
    `Keys of --set: ${Object.keys(INJECT_FIELDS).slice(0, 8).join(', ')},`,
    `${Object.keys(INJECT_FIELDS).slice(8).join(', ')}.`,
  ].join('\n'),
  run,
};

async function run(call: Call): Promise<number> {
  const options = parseOptions(call);
  if (typeof options === 'string') return refuse(call, options);
  const outcomes = await runFilter(call, (objects) => injectObjects(objects, options));
  if (typeof outcomes === 'string') return refuse(call, outcomes);
  if (outcomes.length === 0) call.output.say('nothing in it has pods: passed on as it came');
  return isAllRefused(outcomes) ? EXIT.failed : EXIT.ok;
}

/** What the command line says, or what is wrong with it. */
export function parseOptions({ texts, flags, lists }: Pick<Call, 'texts' | 'flags' | 'lists'>): FilterOptions | string {
  const defaults: Partial<Record<InjectKey, string>> = {};
  for (const pair of lists['set'] ?? []) {
    const [key = '', ...rest] = pair.split('=');
    if (rest.length === 0) return `--set: expected KEY=VALUE, got ${JSON.stringify(pair)}`;
    if (!isKey(key)) {
      const near = nearestWord(key, Object.keys(INJECT_FIELDS));
      return `--set: no key ${JSON.stringify(key)}${near === null ? '' : `, did you mean ${near}?`}`;
    }
    defaults[key] = rest.join('=');
  }
  const version = texts['kubernetes-version'];
  if (toMinor(version) === null)
    return `--kubernetes-version: expected one such as 1.33, got ${JSON.stringify(version)}`;
  const dcgmUrl = texts['dcgm-url'];
  if (dcgmUrl !== undefined && !isUrl(dcgmUrl)) return `--dcgm-url: expected a URL, got ${JSON.stringify(dcgmUrl)}`;
  const { image, native, gpu } = texts;
  return {
    version: readVersion(),
    isLabelledOnly: flags.has('labelled'),
    defaults,
    native: native === 'true' || native === 'false' ? native : 'auto',
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parser lets only these words through
    gpu: (gpu ?? 'auto') as GpuVisibility,
    ...(image === undefined ? {} : { image }),
    ...(version === undefined ? {} : { kubernetesVersion: version }),
    ...(dcgmUrl === undefined ? {} : { dcgmUrl }),
    ...(flags.has('ipv6') ? { listenHost: '[::]' } : {}),
  };
}

function isKey(key: string): key is InjectKey {
  return Object.hasOwn(INJECT_FIELDS, key);
}

function refuse(call: Call, message: string): number {
  call.output.fail(message);
  call.output.say('See morphling inject --help.');
  return EXIT.usage;
}
