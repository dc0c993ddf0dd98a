// A small value on disk that survives a crash at any instant: two slots, written in turn, each whole or absent.
//
//   morphling-state 1 <sequence> <length> <sha256 hex>\n<length bytes of JSON>
//
// The hash covers everything else in the header and the payload, so no flipped bit passes. A save goes to a fresh
// file beside the slot, is fsynced, renamed over the *older* slot, and the folder is fsynced: the newer slot is never
// touched, so at every instant at least one of the last two states can be read.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { toMessage } from '../../src/core/errors.ts';
import { nodeStateDisk, type StateDisk } from './state-disk.ts';

export interface StateStoreOptions {
  readonly dir: string;
  /** `settings`: the slots are `settings.0` and `settings.1`. */
  readonly name: string;
  /** A larger state is not written, a larger file not read. Default 1 MiB. */
  readonly maxBytes?: number;
  readonly disk?: StateDisk;
  /** Told once when saving begins to fail (the sentence says why) and once when it works again (null). */
  readonly onHealth?: (problem: string | null) => void;
}

/** `problems` names every slot that was damaged; empty when all is well. */
export type LoadedState =
  | {
      readonly kind: 'loaded';
      readonly value: unknown;
      readonly sequence: number;
      readonly problems: readonly string[];
    }
  | { readonly kind: 'none'; readonly problems: readonly string[] };

const MAGIC = 'morphling-state 1';
const DEFAULT_MAX_BYTES = 1024 * 1024;
const SLOTS = [0, 1] as const;

export class StateStore {
  readonly #options: StateStoreOptions;
  readonly #disk: StateDisk;
  readonly #maxBytes: number;
  #sequence = 0;
  #pending: { readonly text: string } | null = null;
  #writing: Promise<void> | null = null;
  #problem: string | null = null;

  constructor(options: StateStoreOptions) {
    this.#options = options;
    this.#disk = options.disk ?? nodeStateDisk;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  }

  /** Why the last save failed; null while state reaches the disk. */
  get problem(): string | null {
    return this.#problem;
  }

  /** The newest whole state. Never throws: what cannot be read counts as absent, and `problems` says so. */
  async load(): Promise<LoadedState> {
    const problems: string[] = [];
    let best: { sequence: number; value: unknown } | null = null;
    for (const slot of SLOTS) {
      const path = this.#slotPath(slot);
      try {
        const bytes = await this.#disk.read(path, this.#maxBytes + 256);
        if (bytes === null) continue;
        const state = decodeState(bytes);
        if (typeof state === 'string') problems.push(`${path}: ${state}`);
        else if (best === null || state.sequence > best.sequence) best = state;
      } catch (error) {
        problems.push(`${path}: ${toMessage(error)}`);
      }
    }
    await this.#disk.removeStale(this.#options.dir, `${this.#options.name}.`).catch(() => {
      // Left-overs of a crash cost a little space; the next start tries again.
    });
    if (best === null) return { kind: 'none', problems };
    this.#sequence = Math.max(this.#sequence, best.sequence);
    return { kind: 'loaded', ...best, problems };
  }

  /**
   * Writes behind the caller's back; of several saves while one is being written only the newest is. Never throws:
   * a full or read-only disk leaves the state in memory, is told through `onHealth`, and the next save tries again.
   * Call `load` first: it finds out which slot is the older.
   */
  save(value: unknown): void {
    let text: string;
    try {
      text = JSON.stringify(value);
    } catch (error) {
      this.#setProblem(toMessage(error));
      return;
    }
    this.#pending = { text };
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when everything saved so far has been written or has failed. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    // Never done before `save` has kept the promise: it would keep one that is over, and nothing more be written.
    await Promise.resolve();
    while (this.#pending !== null) {
      const { text } = this.#pending;
      this.#pending = null;
      try {
        const sequence = this.#sequence + 1;
        const bytes = encodeState(text, sequence);
        if (bytes.length > this.#maxBytes) throw new Error(`state of ${bytes.length} bytes, ${this.#maxBytes} allowed`);
        await this.#disk.replace(this.#options.dir, this.#slotPath(sequence % 2 === 0 ? 0 : 1), bytes);
        this.#sequence = sequence;
        this.#setProblem(null);
      } catch (error) {
        this.#setProblem(toMessage(error));
      }
    }
    this.#writing = null;
  }

  #setProblem(problem: string | null): void {
    if ((this.#problem === null) !== (problem === null)) this.#options.onHealth?.(problem);
    this.#problem = problem;
  }

  #slotPath(slot: 0 | 1): string {
    return join(this.#options.dir, `${this.#options.name}.${slot}`);
  }
}

/** The bytes of one slot. */
export function encodeState(json: string, sequence: number): Buffer {
  const payload = Buffer.from(json);
  const head = `${MAGIC} ${sequence} ${payload.length}`;
  return Buffer.concat([Buffer.from(`${head} ${hash(head, payload)}\n`), payload]);
}

/** The state, or a sentence that says what is wrong with the bytes. */
export function decodeState(bytes: Buffer): { readonly sequence: number; readonly value: unknown } | string {
  const end = bytes.indexOf(0x0a);
  if (end < 0 || end > 200) return 'no header line';
  const match = /^(morphling-state \d+ (\d{1,15}) (\d{1,10})) ([0-9a-f]{64})$/.exec(bytes.toString('latin1', 0, end));
  const [, head, sequence, length, sum] = match ?? [];
  if (head === undefined) return 'the header is damaged';
  if (!head.startsWith(`${MAGIC} `)) return `another schema than ${MAGIC}`;
  const payload = bytes.subarray(end + 1);
  if (payload.length !== Number(length)) return `${payload.length} bytes where ${length} were written`;
  if (hash(head, payload) !== sum) return 'the checksum does not match';
  try {
    return { sequence: Number(sequence), value: JSON.parse(payload.toString()) as unknown };
  } catch (error) {
    return toMessage(error);
  }
}

function hash(head: string, payload: Buffer): string {
  return createHash('sha256').update(head).update('\n').update(payload).digest('hex');
}
