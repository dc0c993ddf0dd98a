// Requests of the sizes that the goals name.
import { toRequest } from '../support/peers/load.ts';

/** A V1 request with one instance of numbers, whose body is so many bytes or a few more. */
export function toV1Request(bodyBytes: number, path = '/v1/models/m:predict'): Buffer {
  const numbers: string[] = [];
  // 16 bytes are `{"instances":[[` and `]]}` less the last comma; a number and its comma are 7.
  for (let bytes = 17; bytes < bodyBytes; bytes += 7) numbers.push(`0.${String(1000 + (bytes % 9000))}`);
  return toRequest(path, Buffer.from(`{"instances":[[${numbers.join(',')}]]}`));
}

/** A V2 request in the binary tensor extension with one row of FP32. */
export function toBinaryRequest(tensorBytes: number): Buffer {
  const head = JSON.stringify({
    inputs: [
      {
        name: 'x',
        datatype: 'FP32',
        shape: [1, tensorBytes / 4],
        parameters: { binary_data_size: tensorBytes },
      },
    ],
    outputs: [{ name: 'y', parameters: { binary_data: true } }],
  });
  const tensor = Buffer.alloc(tensorBytes);
  for (let at = 0; at < tensorBytes; at += 4) tensor.writeFloatLE(at / tensorBytes, at);
  return toRequest('/v2/models/m/infer', Buffer.concat([Buffer.from(head), tensor]), {
    'Content-Type': 'application/octet-stream',
    'Inference-Header-Content-Length': String(head.length),
  });
}
