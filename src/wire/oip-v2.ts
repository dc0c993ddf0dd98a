// Open Inference Protocol V2, JSON form:
//   {"id"?, "parameters"?, "inputs": [{"name", "shape", "datatype", "parameters"?, "data"}], "outputs"?: [...]}
//   -> {"model_name", "model_version"?, "id"?, "parameters"?, "outputs": [{"name", "shape", "datatype", "data"}]}
// Source: https://github.com/open-inference-protocol specification, inference/rest. Joined along the first dimension.
import type { Codec, HeaderView, Refusal } from './codec.ts';
import { isJsonRequest } from './headers.ts';
import { HEADER_LENGTH, splitV2 } from './oip-v2-answer.ts';
import { joinV2, parseV2, type ParsedV2 } from './oip-v2-request.ts';

/** What tritonclient's asyncio flavour calls its JSON; without the header of the binary form it is nothing else. */
const MORE_TYPES = ['application/octet-stream'];

export const oipV2: Codec<ParsedV2> = {
  name: 'oip-v2',
  protocol: 'v2',
  accepts: (headers: HeaderView): boolean => headers[HEADER_LENGTH] === undefined && isJsonRequest(headers, MORE_TYPES),
  parse: (body: Buffer): ParsedV2 | Refusal => parseV2('v2', body, body.length),
  join: (members: readonly ParsedV2[]) => joinV2(members, () => ({ 'content-type': 'application/json' })),
  split: splitV2,
};
