// Bytes <-> one request shape. A codec knows a protocol's paths and bodies; it has no sockets and no clock.
import type { Protocol } from '../core/completion.ts';

/** What a path means. `model` is null for server-wide paths. */
export interface Route {
  readonly protocol: Protocol;
  readonly model: string | null;
  readonly version: string | null;
  /** infer: one body, one answer, may be joined; stream: an inference call never joined; other: everything else. */
  readonly verb: 'infer' | 'stream' | 'other';
}

/** Lower-cased header names, first value only. */
export type HeaderView = Readonly<Record<string, string | undefined>>;

/** A body that was understood. Offsets point into `body`; nothing is copied. */
export interface ParsedRequest {
  readonly body: Buffer;
  /** Items along the first dimension, >= 1. */
  readonly items: number;
  /**
   * Equal for two requests that may share a call: codec, shapes, datatypes, parameters, outputs. Means nothing where
   * `unbatchable` is set. At most about 1 KiB; longer ones are hashed.
   */
  readonly key: string;
  /**
   * Null: may be joined. Else why not, for logs and tests: `sequence`, `shared-memory`, `scalar`, `first-dimension`,
   * `datatype` (unknown), `data-type` (values that are not of it), `data-shape` (brackets that are not the shape),
   * `raw-binary`, `columnar`, `no-instances`.
   */
  readonly unbatchable: string | null;
  /** Deadline named in the body (Triton's `timeout` parameter), ms from arrival; null when there is none. */
  readonly timeoutMs: number | null;
}

/** A body that was refused: one clear sentence, status 400. */
export interface Refusal {
  readonly refusal: string;
}

/** Bytes of one body, in order, with the headers that describe it. */
export interface Payload {
  readonly chunks: readonly Buffer[];
  /** Lower-cased; content-type always, others as the protocol needs. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The joined answer taken apart: a payload for each member in order, or why it cannot be. */
export type SplitResult =
  | { readonly kind: 'split'; readonly payloads: readonly Payload[] }
  /** Another item count than sent: the model does not batch. */
  | { readonly kind: 'count'; readonly expected: number; readonly got: number }
  | { readonly kind: 'malformed'; readonly reason: string };

/**
 * One batchable protocol. Laws, held by the contract suite for every implementation:
 * join([x]) asks what x asked; split(answer(join(xs))) gives each x the answer it would have had alone;
 * parse never throws, whatever the bytes.
 */
export interface Codec<P extends ParsedRequest = ParsedRequest> {
  readonly name: string;
  readonly protocol: Protocol;
  /** True when this codec reads this body (content type, binary header). */
  accepts(headers: HeaderView): boolean;
  parse(body: Buffer, headers: HeaderView): P | Refusal;
  /** Members have equal keys and `unbatchable: null`. Spliced from their bytes, not re-serialised. */
  join(members: readonly P[]): Payload;
  /** The answer to a joined call, status 200. */
  split(body: Buffer, headers: HeaderView, members: readonly P[]): SplitResult;
}

export function isRefusal(parsed: ParsedRequest | Refusal): parsed is Refusal {
  return 'refusal' in parsed;
}
