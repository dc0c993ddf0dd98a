// What a request target means. Exact on bytes: a target that a server might read in another way is `other`, which is
// forwarded untouched, never joined.
import type { Route } from './codec.ts';

/** Longer model names are not labels but attacks on a map. Characters, decoded. */
const NAME_MAX = 256;

/** One path segment: the characters RFC 3986 allows there but `;`, whose parameters some servers cut off. */
const SEGMENT = "([A-Za-z0-9._~!$&'()*+,=:@%-]+)";
const SEGMENT_LAZY = SEGMENT.replace('+)', '+?)');
/** With TensorFlow Serving's versions and labels; `:predict` is the only joined verb. */
const V1_MODEL = new RegExp(
  `^/v1/models/${SEGMENT_LAZY}(?:/(?:versions|labels)/${SEGMENT_LAZY})?(?::(predict|explain|classify|regress))?$`,
);
const V2_MODEL = new RegExp(`^/v2/models/${SEGMENT}(?:/versions/${SEGMENT})?(?:/([a-z_]+))?$`);
const V1_OR_V2 = /^\/(v[12])(?:\/|$)/;
const OPENAI = /^(?:\/openai)?\/v1\/(?:chat\/completions|completions|embeddings|rerank|score|responses|messages)$/;
const OPENAI_PREFIX = /^\/openai\//;
const TORCHSERVE = new RegExp(`^/predictions/${SEGMENT}(?:/${SEGMENT})?$`);

/**
 * `path` is the raw request target, query and all. Only a POST infers. Names are decoded for labels; a name that does
 * not decode, is longer than 256 characters, or decodes to a path trick gives `other` without a model.
 */
export function matchRoute(method: string, path: string): Route {
  const query = path.indexOf('?');
  const target = query === -1 ? path : path.slice(0, query);
  const isPost = method === 'POST';

  const v2 = V2_MODEL.exec(target);
  if (v2 !== null) return toModelRoute('v2', v2[1], v2[2], isPost ? toV2Verb(v2[3]) : 'other');
  const v1 = V1_MODEL.exec(target);
  if (v1 !== null) return toModelRoute('v1', v1[1], v1[2], isPost && v1[3] === 'predict' ? 'infer' : 'other');
  if (OPENAI.test(target)) return { protocol: 'openai', model: null, version: null, verb: isPost ? 'stream' : 'other' };
  const torchserve = TORCHSERVE.exec(target);
  if (torchserve !== null) return toModelRoute('other', torchserve[1], torchserve[2], isPost ? 'stream' : 'other');

  if (OPENAI_PREFIX.test(target)) return { protocol: 'openai', model: null, version: null, verb: 'other' };
  const family = V1_OR_V2.exec(target)?.[1];
  return { protocol: family === 'v1' || family === 'v2' ? family : 'other', model: null, version: null, verb: 'other' };
}

function toV2Verb(verb: string | undefined): Route['verb'] {
  if (verb === 'infer') return 'infer';
  return verb === 'generate' || verb === 'generate_stream' ? 'stream' : 'other';
}

function toModelRoute(
  protocol: Route['protocol'],
  rawModel: string | undefined,
  rawVersion: string | undefined,
  verb: Route['verb'],
): Route {
  const model = toName(rawModel);
  const version = rawVersion === undefined ? null : toName(rawVersion);
  if (model === null || (rawVersion !== undefined && version === null))
    return { protocol, model: null, version: null, verb: 'other' };
  return { protocol, model, version, verb };
}

/** Null: not a name that every server would read alike. */
function toName(raw: string | undefined): string | null {
  if (raw === undefined || raw.length > 9 * NAME_MAX) return null;
  let name = raw;
  if (raw.includes('%')) {
    try {
      name = decodeURIComponent(raw);
    } catch {
      return null; // not UTF-8 or a torn escape: the server may answer what it likes
    }
  }
  // `%2f`, `%5c`, `%3b`, controls, and what normalises to another path
  if (name.length > NAME_MAX || /[/\\;?#\p{Cc}]/u.test(name) || /^\.{1,2}$/.test(name)) return null;
  return name;
}
