// An engine that can be told nothing: the proxy's own batching, delay and concurrency are all there is.
import { MorphlingError } from '../../../src/core/errors.ts';
import type { EngineAdapter } from './adapter.ts';

/** Offers no switch, so the only settings it can take are those without one. */
export function createNoEngine(): EngineAdapter {
  return {
    name: 'none',
    switches: () => Promise.resolve({}),
    apply(model, settings) {
      const names = Object.keys(settings.switches);
      if (names.length === 0) return Promise.resolve();
      const message = `${model}: this engine offers no switch, asked for ${names.join(', ')}`;
      return Promise.reject(new MorphlingError('UNSUPPORTED', message));
    },
    verify: (_, settings) => Promise.resolve(Object.keys(settings.switches).length === 0),
  };
}
