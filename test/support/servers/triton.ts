// Triton with Python models: V2 over HTTP (JSON and binary tensors) and gRPC.
import { execFile } from 'node:child_process';
import { readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { requireEnvironment } from './environment.ts';
import { MODELS_FOLDER, launchServer } from './launch.ts';
import type { Launch } from './launch.ts';
import type { ModelServer, StartOptions } from './server.ts';

const run = promisify(execFile);
const SHARED_MEMORY = '/dev/shm';

/**
 * Starts Triton with one instance a model and no dynamic batching. Models load and unload by its repository calls.
 * Installs it if it is not there.
 */
export async function startTriton(options: StartOptions = {}): Promise<ModelServer> {
  const environment = await requireEnvironment('triton');
  const root = join(environment.sitePackages, 'pytriton', 'tritonserver');
  return launchServer(
    {
      name: 'triton',
      environment,
      metricsOn: 'own',
      prepare: async (launch) => {
        const repository = join(launch.folder, 'repository');
        const script = join(MODELS_FOLDER, 'triton_repository.py');
        await run(environment.python, ['-B', script, repository, ...launch.models]);
        return {
          file: join(root, 'bin', 'tritonserver'),
          args: [
            `--model-repository=${repository}`,
            `--backend-directory=${join(root, 'backends')}`,
            '--model-control-mode=explicit',
            ...launch.models.map((model) => `--load-model=${model}`),
            // What the files do not say stays unsaid: no scheduler that Triton would add to a batching model.
            '--disable-auto-complete-config',
            ...addresses(launch),
            '--allow-gpu-metrics=false',
            `--backend-config=python,shm-region-prefix-name=${regionPrefix(launch)}`,
          ],
          // The wheel's libraries lie in a folder of their own, and the process of a Python model needs libpython.
          env: {
            LD_LIBRARY_PATH: `${environment.libraryFolder}:${join(environment.sitePackages, 'nvidia_pytriton.libs')}`,
          },
        };
      },
      clear: clearSharedMemory,
    },
    options,
  );
}

function addresses({ httpPort, grpcPort, metricsPort }: Launch): string[] {
  const ports = { http: httpPort, grpc: grpcPort, metrics: metricsPort };
  return Object.entries(ports).flatMap(([kind, port]) => [`--${kind}-address=127.0.0.1`, `--${kind}-port=${port}`]);
}

function regionPrefix({ folder }: Launch): string {
  return basename(folder);
}

/** Triton and its models talk through shared memory, which outlives a SIGKILL. */
async function clearSharedMemory(launch: Launch): Promise<void> {
  const names = await readdir(SHARED_MEMORY).catch(() => []);
  const left = names.filter((name) => name.startsWith(regionPrefix(launch)));
  await Promise.all(left.map((name) => rm(join(SHARED_MEMORY, name), { force: true })));
}
