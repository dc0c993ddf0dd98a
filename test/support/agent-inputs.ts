// Requests for load on the measured models, built once: what is measured is the server, not the writing of numbers.
import type { Asked } from './peers/http-ask.ts';
import { measuredInput, type MeasuredModel } from './servers/latency.ts';

/** A V2 request with one binary tensor of so many rows, answered in binary. */
export function binaryRequest(model: MeasuredModel, rows = 1): Asked {
  const { name, datatype, shape, data } = measuredInput(model, rows);
  const values = data.map(Number);
  const bytes = Buffer.from((datatype === 'FP32' ? new Float32Array(values) : new Int32Array(values)).buffer);
  const input = { name, datatype, shape, parameters: { binary_data_size: bytes.length } };
  const json = Buffer.from(JSON.stringify({ id: 'load', parameters: { binary_data_output: true }, inputs: [input] }));
  return {
    method: 'POST',
    path: `/v2/models/${model}/infer`,
    headers: ['Content-Type', 'application/octet-stream', 'Inference-Header-Content-Length', String(json.length)],
    body: Buffer.concat([json, bytes]),
  };
}
