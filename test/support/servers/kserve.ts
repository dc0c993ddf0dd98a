// The KServe SDK's model server: V1 and V2 (JSON and binary) over HTTP, V2 over gRPC. It does no batching of its own.
import { join } from 'node:path';
import { requireEnvironment } from './environment.ts';
import { MODELS_FOLDER, launchServer } from './launch.ts';
import type { ModelServer, StartOptions } from './server.ts';

/** Starts a KServe model server with one worker. Installs the SDK if it is not there. */
export async function startKserve(options: StartOptions = {}): Promise<ModelServer> {
  const environment = await requireEnvironment('kserve');
  return launchServer(
    {
      name: 'kserve',
      environment,
      metricsOn: 'http',
      prepare: ({ httpPort, grpcPort, models }) => ({
        file: environment.python,
        args: [join(MODELS_FOLDER, 'kserve_app.py'), String(httpPort), String(grpcPort), ...models],
      }),
    },
    options,
  );
}
