// Composition root of the mind process: telemetry, deciding, learning. Placeholder-free minimum until its rooms are joined.
import type { FromSupervisor } from '../src/core/processes.ts';

process.on('message', (_message: FromSupervisor) => undefined);
process.on('disconnect', () => process.exit(0));
process.send?.({ kind: 'ready' });
