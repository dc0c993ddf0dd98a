// What the demo reads while it runs: the model server's counters, the agent's settings and last decision.
import type { Settings } from '../../src/core/settings.ts';

/** Counters of the emulated server since its start; null for a server of the user's own. */
export interface ServerCounters {
  readonly items: number;
  readonly batches: number;
  readonly busyS: number;
  readonly utilizationRatio: number;
}

/** What the agent says of itself; a part that it does not say (yet) is null. */
export interface AgentGlance {
  readonly settings: Settings | null;
  readonly generation: number | null;
  readonly decision: string | null;
}

/** Reads the emulator's page; null when it does not answer or is another server. */
export async function readServer(url: string, signal: AbortSignal): Promise<ServerCounters | null> {
  const page = await readText(`${url}/metrics`, signal);
  if (page === null || !page.includes('emulator_busy_seconds_total')) return null;
  const sum = (name: string): number =>
    [...page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'gm'))].reduce(
      (total, match) => total + Number(match[1]),
      0,
    );
  return {
    items: sum('nv_inference_count'),
    batches: sum('nv_inference_exec_count'),
    busyS: sum('emulator_busy_seconds_total'),
    utilizationRatio: sum('nv_gpu_utilization'),
  };
}

/** Reads the agent's control port. A part that fails is null: the demo's figures do not depend on it. */
export async function readAgent(controlUrl: string, model: string, signal: AbortSignal): Promise<AgentGlance> {
  const query = `?model=${encodeURIComponent(model)}`;
  const [settings, explanation] = await Promise.all([
    readJson(`${controlUrl}/v1/settings`, signal),
    readJson(`${controlUrl}/v1/explain${query}`, signal),
  ]);
  const entry = toRecord(toRecord(toRecord(settings)?.['models'])?.[model]);
  const inForce = toRecord(entry?.['settings']);
  const generation = entry?.['generation'];
  return {
    settings: inForce === null ? null : toSettings(inForce),
    generation: typeof generation === 'number' ? generation : null,
    decision: toSentence(explanation),
  };
}

/** The newest decision as one line; explanations come newest first. */
function toSentence(document: unknown): string | null {
  const list = toRecord(document)?.['explanations'];
  const newest = toRecord(Array.isArray(list) ? list[0] : null);
  const decision = toRecord(newest?.['decision']);
  const reason = toRecord(decision?.['proposal'])?.['reason'] ?? decision?.['reason'];
  if (typeof reason !== 'string') return null;
  const result = newest?.['result'];
  return typeof result === 'string' ? `${result}: ${reason}` : reason;
}

function toSettings(record: Readonly<Record<string, unknown>>): Settings | null {
  const { batchSize, batchDelayMs, concurrency } = record;
  if (typeof batchSize !== 'number' || typeof batchDelayMs !== 'number' || typeof concurrency !== 'number') return null;
  return { batchSize, batchDelayMs, concurrency, switches: {} };
}

async function readJson(url: string, signal: AbortSignal): Promise<unknown> {
  const text = await readText(url, signal);
  if (text === null) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Half an answer of an agent that is ending.
    return null;
  }
}

async function readText(url: string, signal: AbortSignal): Promise<string | null> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(1000)]) });
    return answer.ok ? await answer.text() : null;
  } catch {
    // Not there (yet): shown as unknown.
    return null;
  }
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> | null {
  return isRecord(value) ? value : null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
