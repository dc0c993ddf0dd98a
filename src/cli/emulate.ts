// `morphling emulate`: a model server whose service time follows a latency profile.
import { readFileSync } from 'node:fs';
import { parseAddress } from '../config/address.ts';
import { MorphlingError, toMessage } from '../core/errors.ts';
import type { SwitchCost } from '../../sidecar/lab/emulate.ts';
import type { Call, Command } from './command.ts';
import { EXIT } from './exit-codes.ts';

export const emulateCommand: Command = {
  name: 'emulate',
  summary: 'Run a model server whose service time follows a measured latency profile.',
  examples: [
    [
      "morphling emulate --profile gpu-latency-profiles.csv --profile-id 'ResNet-50-v1.5|V100-16GB|FP32|PyTorch'",
      'an HTTP server on port 8000 that answers as fast as that GPU would',
    ],
    [
      'morphling emulate --profile F --profile-id ID --nvidia-smi /tmp/bin/nvidia-smi',
      'the same, with a stand-in nvidia-smi that reports its load',
    ],
  ],
  options: {
    profile: {
      type: 'string',
      value: 'FILE',
      doc: 'CSV with the columns model, gpu, precision, framework, batch, latency_ms; else the shipped one.',
    },
    'profile-id': { type: 'string', value: 'ID', doc: "Which curve of the file: 'model|gpu|precision|framework'." },
    'alt-profile-id': { type: 'string', value: 'ID', doc: 'What the engine becomes when its switch is on.' },
    'switch-cost': {
      type: 'string',
      value: 'reload:2s|live',
      default: 'reload:2s',
      doc: 'What turning the switch costs.',
    },
    'switch-name': { type: 'string', value: 'NAME', default: 'tensorrt', doc: 'Name of the switch.' },
    listen: {
      type: 'string',
      value: 'HOST:PORT',
      default: '127.0.0.1:8000',
      doc: 'Where to listen; port 0: any free one.',
    },
    model: { type: 'string', value: 'NAME', multiple: true, doc: "Name it serves; else the profile's, in lower case." },
    interference: {
      type: 'string',
      value: 'K',
      default: '0.7',
      doc: 'Cost of each further batch in flight, 0 (none) to 1 (time slicing).',
    },
    'max-batch-size': { type: 'string', value: 'N', doc: 'Refuse larger batches with 400; else none is too large.' },
    seed: { type: 'string', value: 'N', default: '1', doc: 'Seed of the noise in the service time.' },
    'nvidia-smi': {
      type: 'string',
      value: 'PATH',
      doc: 'Write an executable stand-in nvidia-smi there; removed at the end.',
    },
  },
  notes:
    'It answers with what it was asked (INPUT0 as OUTPUT0, instances as predictions), so a mix-up shows.\nPaths: V1 and V2 inference, health and metadata; /metrics with Triton\'s names; PUT /emulator/switches/NAME {"on": true}.',
  cleansUp: true,
  run,
};

async function run(call: Call): Promise<number> {
  const { texts, output } = call;
  const id = texts['profile-id'];
  const [{ createCurve, findProfile, parseProfiles }, { startEmulator }, { toProfilesFile }] = await Promise.all([
    import('../../sidecar/lab/profiles.ts'),
    import('../../sidecar/lab/emulate.ts'),
    import('../../sidecar/lab/demo-data.ts'),
  ]);
  const profiles = parseProfiles(readText(texts['profile'] ?? toProfilesFile()));
  if (id === undefined) return refuse(call, "--profile-id is needed: 'model|gpu|precision|framework'");
  const listen = parseAddress(texts['listen'] ?? '', '127.0.0.1');
  const cost = parseSwitchCost(texts['switch-cost'] ?? '');
  const interference = Number(texts['interference']);
  const seed = Number(texts['seed']);
  const maxBatchSize = texts['max-batch-size'] === undefined ? undefined : Number(texts['max-batch-size']);
  if (listen === null)
    return refuse(call, `--listen: expected an address such as 127.0.0.1:8000, got ${texts['listen']}`);
  if (cost === null) return refuse(call, `--switch-cost: expected live or reload:2s, got ${texts['switch-cost']}`);
  if (!(interference >= 0 && interference <= 1))
    return refuse(call, `--interference: expected a number from 0 to 1, got ${texts['interference']}`);
  if (!Number.isInteger(seed)) return refuse(call, `--seed: expected a whole number, got ${texts['seed']}`);
  if (maxBatchSize !== undefined && !(Number.isInteger(maxBatchSize) && maxBatchSize >= 1))
    return refuse(call, `--max-batch-size: expected a whole number from 1, got ${texts['max-batch-size']}`);
  const profile = findProfile(profiles, id);
  const alternativeId = texts['alt-profile-id'];
  const nvidiaSmi = texts['nvidia-smi'];
  const models = call.lists['model'] ?? [profile.model.toLowerCase()];
  const emulator = await startEmulator({
    profile,
    listen,
    models,
    interference,
    seed,
    ...(maxBatchSize === undefined ? {} : { maxBatchSize }),
    ...(nvidiaSmi === undefined ? {} : { nvidiaSmi }),
    ...(alternativeId === undefined
      ? {}
      : {
          alternative: { profile: findProfile(profiles, alternativeId), cost, switchName: texts['switch-name'] ?? '' },
        }),
  });
  const curve = createCurve(profile.points);
  output.say(
    `${profile.id}: ${curve.latencyMs(1)} ms at batch 1, at most ${Math.round(1000 * curve.peakItemsPerMs)} items/s (batch ${curve.peakItems}); serves ${models.join(', ')}`,
  );
  output.print(`listening on ${emulator.url}`);
  await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve(), { once: true }));
  await emulator.close();
  return EXIT.ok;
}

function readText(path: string | URL): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new MorphlingError('NOT_FOUND', `--profile: ${toMessage(cause)}`, { cause });
  }
}

/** `live`, `reload:2s` or `reload:500ms`; null when it is neither. */
export function parseSwitchCost(text: string): SwitchCost | null {
  if (text === 'live') return { kind: 'live' };
  const match = /^reload:(\d+(?:\.\d+)?)(ms|s)$/.exec(text);
  if (match === null) return null;
  return { kind: 'reload', stallMs: Number(match[1]) * (match[2] === 's' ? 1000 : 1) };
}

function refuse(call: Call, message: string): number {
  call.output.fail(message);
  call.output.say('See morphling emulate --help.');
  return EXIT.usage;
}
