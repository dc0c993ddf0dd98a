// MLServer: V2 over HTTP (JSON only) and gRPC.
import { join } from 'node:path';
import { requireEnvironment } from './environment.ts';
import { MODELS_FOLDER, launchServer } from './launch.ts';
import type { ModelServer, StartOptions } from './server.ts';

/** Starts MLServer with its own adaptive batching off and no worker processes. Installs it if it is not there. */
export async function startMlserver(options: StartOptions = {}): Promise<ModelServer> {
  const environment = await requireEnvironment('mlserver');
  return launchServer(
    {
      name: 'mlserver',
      environment,
      metricsOn: 'own',
      prepare: ({ httpPort, grpcPort, metricsPort, models }) => ({
        file: environment.python,
        args: [join(MODELS_FOLDER, 'mlserver_app.py'), ...[httpPort, grpcPort, metricsPort].map(String), ...models],
      }),
    },
    options,
  );
}
