// Whether the model behind us says it is ready: asked once a second, answered at once.
import type { ReadyBody } from '../../src/api/requests.ts';
import type { Upstream } from '../proxy/forward.ts';
import { isUpstreamReady } from '../proxy/probe.ts';

const EVERY_MS = 1_000;
const TIMEOUT_MS = 1_000;

export interface Readiness {
  read(): ReadyBody;
  /** Not ready from now on, whatever the model says. */
  drain(): void;
  stop(): void;
}

export function createReadiness(upstream: Upstream): Readiness {
  let isModelReady = false;
  let isDraining = false;
  let isAsking = false;
  const ask = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    isModelReady = await isUpstreamReady(upstream, TIMEOUT_MS);
    isAsking = false;
  };
  const timer = setInterval(() => void ask(), EVERY_MS);
  timer.unref();
  void ask();
  return {
    read() {
      if (isDraining) return toBody(false, isModelReady, 'the agent is stopping');
      return isModelReady ? toBody(true, true, '') : toBody(true, false, 'the model server is not ready');
    },
    drain() {
      isDraining = true;
    },
    stop: () => clearInterval(timer),
  };
}

function toBody(agent: boolean, model: boolean, reason: string): ReadyBody {
  return { isReady: agent && model, agent, model, reason };
}
