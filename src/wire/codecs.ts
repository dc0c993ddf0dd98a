// Which codec reads a request, if any.
import type { Codec, HeaderView, Route } from './codec.ts';
import { kserveV1 } from './kserve-v1.ts';
import { oipV2Binary } from './oip-v2-binary.ts';
import { oipV2 } from './oip-v2.ts';

/** Every codec, the more specific one first. */
const CODECS: readonly Codec[] = [kserveV1, oipV2Binary, oipV2];

/** Null: the body is not ours to read (compressed, CloudEvents, another content type); forward it alone. */
export function findCodec(route: Route, headers: HeaderView): Codec | null {
  if (route.verb !== 'infer') return null;
  return CODECS.find((codec) => codec.protocol === route.protocol && codec.accepts(headers)) ?? null;
}
