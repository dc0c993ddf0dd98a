// The engine's metrics page with the agent's queue added to its queue gauges: what endpoint pickers must see. Pure.

/** A gauge of requests that wait, as an engine publishes it. */
interface QueueGauge {
  readonly name: string;
  /** Label that names the model; null where the engine serves one. */
  readonly modelLabel: string | null;
  /** Only the series with this label and value is the queue. */
  readonly only?: readonly [label: string, value: string];
}

/**
 * Names of the Gateway API Inference Extension's model server protocol (proposal 003), and those of Triton's plain
 * backends, SGLang's newer exporter and Text Generation Inference.
 */
export const QUEUE_GAUGES: readonly QueueGauge[] = [
  { name: 'vllm:num_requests_waiting', modelLabel: 'model_name' },
  { name: 'sglang:num_queue_reqs', modelLabel: 'model_name' },
  { name: 'sglang_num_queue_reqs', modelLabel: 'model_name' },
  { name: 'nv_trt_llm_request_metrics', modelLabel: 'model', only: ['request_type', 'waiting'] },
  { name: 'nv_inference_pending_request_count', modelLabel: 'model' },
  { name: 'tgi_queue_size', modelLabel: null },
];

/** Requests waiting in the agent, by model. */
export type QueueDepths = ReadonlyMap<string, number>;

interface Series {
  readonly gauge: QueueGauge;
  readonly model: string | null;
  /** Where the value's digits stand in the page. */
  readonly start: number;
  readonly end: number;
}

/**
 * Adds each model's depth to the first series that names the model (several versions or ranks of one model share the
 * agent's queue, so their sum stays right); a gauge with one series, or without a model label, gets the whole depth.
 * Every other byte stays as it is. `ownGauges`, complete lines, go to the end, before `# EOF` where there is one.
 * A value that is no plain number is left alone. One pass over the page; bytes in, bytes out, in any encoding.
 */
export function overlayQueue(page: Uint8Array, depths: QueueDepths, ownGauges = ''): Buffer {
  const source = Buffer.from(page.buffer, page.byteOffset, page.byteLength);
  // latin1 maps bytes to characters one to one, so positions and bytes survive.
  const text = source.toString('latin1');
  const total = [...depths.values()].reduce((sum, depth) => sum + depth, 0);
  const series = QUEUE_GAUGES.flatMap((gauge) => findSeries(text, gauge));
  const edits: { readonly start: number; readonly end: number; readonly value: string }[] = [];
  for (const gauge of QUEUE_GAUGES) {
    const mine = series.filter((one) => one.gauge === gauge);
    const served = new Set<string>();
    for (const one of mine) {
      const name = one.model === null ? null : Buffer.from(one.model, 'latin1').toString('utf8');
      const isSole = mine.length === 1;
      const key = isSole || name === null ? '' : name;
      if (served.has(key)) continue;
      served.add(key);
      const depth = key === '' ? total : (depths.get(key) ?? 0);
      if (depth > 0)
        edits.push({ start: one.start, end: one.end, value: addTo(text.slice(one.start, one.end), depth) });
    }
  }
  edits.sort((a, b) => a.start - b.start);

  const parts: Buffer[] = [];
  let at = 0;
  for (const { start, end, value } of edits) {
    parts.push(source.subarray(at, start), Buffer.from(value, 'latin1'));
    at = end;
  }
  const eof = /# EOF\r?\n?$/.exec(text.slice(-8));
  const tail = eof === null ? source.length : source.length - eof[0].length;
  parts.push(source.subarray(at, tail));
  if (ownGauges !== '') {
    const isCut = tail > 0 && source[tail - 1] !== NEWLINE;
    parts.push(Buffer.from(`${isCut ? '\n' : ''}${ownGauges}${ownGauges.endsWith('\n') ? '' : '\n'}`));
  }
  parts.push(source.subarray(tail));
  return Buffer.concat(parts);
}

const NEWLINE = 0x0a;
const LABELS = /\{((?:[^"}\n]|"(?:[^"\\\n]|\\.)*")*)\}/y;
const VALUE = /[ \t]+(\d{1,15}(?:\.\d{1,9})?)(?=[ \t\r\n]|$)/y;

function findSeries(text: string, gauge: QueueGauge): Series[] {
  const found: Series[] = [];
  for (let at = text.indexOf(gauge.name); at >= 0; at = text.indexOf(gauge.name, at + gauge.name.length)) {
    const isLineStart = at === 0 || text[at - 1] === '\n';
    if (!isLineStart) continue;
    let cursor = at + gauge.name.length;
    LABELS.lastIndex = cursor;
    const labels = LABELS.exec(text);
    if (labels !== null) cursor = LABELS.lastIndex;
    VALUE.lastIndex = cursor;
    const value = VALUE.exec(text);
    if (value === null) continue;
    const { only, modelLabel } = gauge;
    if (only !== undefined && readLabel(labels?.[1] ?? '', only[0]) !== only[1]) continue;
    const end = VALUE.lastIndex;
    found.push({
      gauge,
      model: modelLabel === null ? null : readLabel(labels?.[1] ?? '', modelLabel),
      start: end - value[1]!.length,
      end,
    });
  }
  return found;
}

function readLabel(labels: string, name: string): string | null {
  const pair = /([A-Za-z_]\w*)\s*=\s*"((?:[^"\\\n]|\\.)*)"/g;
  for (let match = pair.exec(labels); match !== null; match = pair.exec(labels))
    if (match[1] === name) return match[2]!.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
  return null;
}

/** Keeps the way the value was written: `3.0` + 2 is `5.0`. */
function addTo(value: string, depth: number): string {
  const decimals = value.includes('.') ? value.length - value.indexOf('.') - 1 : 0;
  return (Number(value) + depth).toFixed(decimals);
}
