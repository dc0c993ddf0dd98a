// What may steer a simulated run, by the name that `--controller` takes.
import type { Issue } from '../../src/core/errors.ts';
import type { Settings } from '../../src/core/settings.ts';
import { aimd } from '../decide/aimd.ts';
import type { Decider } from '../decide/decider.ts';
import { Gradient } from '../decide/gradient.ts';
import { Linear } from '../decide/linear.ts';
import { Planner } from '../decide/planner.ts';
import { Bayes } from './bayes.ts';

export type Controller =
  /** Sees windows and decides; with reflex, guard and watch. */
  | { readonly kind: 'decider'; readonly name: string; readonly createDecider: () => Decider }
  /** One setting from start to end; no reflex, no guard. */
  | { readonly kind: 'fixed'; readonly name: string; readonly settings: Settings }
  /** Knows the future. */
  | { readonly kind: 'oracle'; readonly name: string; readonly scope: 'static' | 'phase' };

const DECIDERS: Readonly<Record<string, () => Decider>> = {
  planner: () => new Planner(),
  linear: () => new Linear(),
  aimd: () => aimd,
  gradient: () => new Gradient(),
  bayes: () => new Bayes(),
};

/** All forms, for help and refusals. */
const CONTROLLER_FORMS: readonly string[] = [
  ...Object.keys(DECIDERS),
  'fixed:b=8,d=2,c=1',
  'oracle-static',
  'oracle-phase',
];

/** `slaMs` gives the meaning of a delay such as `d=sla/2`; other delays are ms. */
export function parseController(text: string, slaMs: number): Controller | Issue {
  const createDecider = Object.hasOwn(DECIDERS, text) ? DECIDERS[text] : undefined;
  if (createDecider !== undefined) return { kind: 'decider', name: text, createDecider };
  if (text === 'oracle-static') return { kind: 'oracle', name: text, scope: 'static' };
  if (text === 'oracle-phase') return { kind: 'oracle', name: text, scope: 'phase' };
  const settings = text.startsWith('fixed:') ? parseFixed(text.slice('fixed:'.length), slaMs) : null;
  if (settings !== null) return { kind: 'fixed', name: text, settings };
  return { field: 'controller', expected: `one of ${CONTROLLER_FORMS.join(' ')}`, got: JSON.stringify(text) };
}

/** `b=8,d=2,c=1` in any order, plus names of switches that are on: `b=8,d=sla/2,c=1,tensorrt=on`. b and c from 1, d from 0 ms. */
function parseFixed(body: string, slaMs: number): Settings | null {
  const parts = new Map(body.split(',').map((part) => part.split('=', 2) as [string, string | undefined]));
  const batchSize = toWhole(parts.get('b'));
  const concurrency = toWhole(parts.get('c'));
  const batchDelayMs = toDelayMs(parts.get('d'), slaMs);
  if (batchSize === null || concurrency === null || batchDelayMs === null) return null;
  const switches: Record<string, boolean> = {};
  for (const [name, value] of parts) {
    if (['b', 'd', 'c'].includes(name)) continue;
    if (!/^[a-z][a-z0-9_-]*$/.test(name) || (value !== 'on' && value !== 'off')) return null;
    switches[name] = value === 'on';
  }
  return { batchSize, batchDelayMs, concurrency, switches };
}

function toWhole(text: string | undefined): number | null {
  return text !== undefined && /^[1-9]\d{0,3}$/.test(text) ? Number(text) : null;
}

function toDelayMs(text: string | undefined, slaMs: number): number | null {
  if (text === undefined) return null;
  if (text === 'sla') return slaMs;
  const share = /^sla\/(\d+\.?\d*)$/.exec(text);
  if (share !== null) return Number(share[1]) > 0 ? slaMs / Number(share[1]) : null;
  return /^\d+\.?\d*$/.test(text) ? Number(text) : null;
}
