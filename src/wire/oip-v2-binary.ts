// Open Inference Protocol V2 with the binary tensor extension (Triton's docs/protocol/extension_binary_data.md):
//
//   Inference-Header-Content-Length: J
//   +------------------------+-------------------+-----+-------------------+
//   | JSON, J bytes          | tensor a, A bytes | ... | tensor n, N bytes |
//   +------------------------+-------------------+-----+-------------------+
//   |<---------------------- J + A + ... + N = Content-Length ------------>|
//
// A tensor whose `parameters.binary_data_size` is A has no `data`; its bytes stand behind the JSON, in the order of the
// JSON, row-major and little-endian. Tensors with `data` may stand among them. BYTES elements, one after the other:
//
//   +----------------+-----------+
//   | length, 4 LE   | bytes     |
//   +----------------+-----------+
//
// To join is to write the JSON anew and to send slices: no tensor is copied, whatever its size.
import type { Codec, HeaderView, Refusal } from './codec.ts';
import { isBinaryRequest } from './headers.ts';
import { HEADER_LENGTH, splitV2, toJsonBytes } from './oip-v2-answer.ts';
import { joinV2, parseV2, type ParsedV2 } from './oip-v2-request.ts';

const NAME = 'v2-binary';

export const oipV2Binary: Codec<ParsedV2> = {
  name: 'oip-v2-binary',
  protocol: 'v2',
  accepts: (headers: HeaderView): boolean => headers[HEADER_LENGTH] !== undefined && isBinaryRequest(headers),

  parse(body: Buffer, headers: HeaderView): ParsedV2 | Refusal {
    const jsonBytes = toJsonBytes(headers, body);
    if (jsonBytes === null) return { refusal: `${HEADER_LENGTH} must be a length within the ${body.length} bytes` };
    return jsonBytes === 0 ? toRaw(body) : parseV2(NAME, body, jsonBytes);
  },

  join: (members: readonly ParsedV2[]) =>
    joinV2(members, (jsonBytes) => ({
      'content-type': 'application/octet-stream',
      [HEADER_LENGTH]: String(jsonBytes),
    })),
  split: splitV2,
};

/** Length 0: Triton's raw request, one tensor and no JSON; its shape is known to the model alone. */
function toRaw(body: Buffer): ParsedV2 {
  const rest = { body, items: 1, key: NAME, timeoutMs: null, jsonBytes: 0, holes: [], binaries: [], id: null };
  return { ...rest, unbatchable: 'raw-binary' };
}
