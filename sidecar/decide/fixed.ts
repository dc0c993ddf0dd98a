// A constant: the settings that never change, whatever the load. The baseline every rule must beat.
import { isSameSettings, type Settings } from '../../src/core/settings.ts';
import type { Decider } from './decider.ts';
import { hold, propose } from './decisions.ts';

/** Proposes `settings` whenever something else is in force (a reflex moved it, a restart), else holds. */
export function createFixed(settings: Settings): Decider {
  return {
    name: 'fixed',
    decide: (model, { policy }) =>
      isSameSettings(model.version.settings, settings)
        ? hold(model, 'fixed', 'the fixed setting is in force')
        : propose(model, 'fixed', settings, 'back to the fixed setting', policy),
  };
}

/** Tuning is off: what is in force, by start, by a person or restored, stays. */
export const fixed: Decider = {
  name: 'fixed',
  decide: (model) => hold(model, 'fixed', 'tuning is off (decider: fixed)'),
};
