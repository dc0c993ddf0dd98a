// What became of every change: the newest in memory for readers, all of it as JSON lines on disk, at most 1 MB.
import { appendFile, mkdir, open, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { toMessage } from '../../src/core/errors.ts';
import { CHANGE_RESULTS, type HistoryEntry } from '../../src/core/history.ts';

export interface HistoryOptions {
  readonly dir: string;
  /** Both files together. Default 1,000,000. */
  readonly maxBytes?: number;
  /** Entries kept in memory. Default 1,000. */
  readonly maxEntries?: number;
  /** As in StateStore: once when writing begins to fail, once (null) when it works again. */
  readonly onHealth?: (problem: string | null) => void;
}

/** Longest line that is written; a longer reason is cut. */
const MAX_LINE_BYTES = 4096;

/** `history.jsonl`, and `history.1.jsonl` for what was before it. */
export class HistoryLog {
  readonly #options: Required<Omit<HistoryOptions, 'onHealth'>> & Pick<HistoryOptions, 'onHealth'>;
  #entries: HistoryEntry[] = [];
  #lines: string[] = [];
  #fileBytes = 0;
  #writing: Promise<void> | null = null;
  #problem: string | null = null;

  constructor(options: HistoryOptions) {
    this.#options = { maxBytes: 1_000_000, maxEntries: 1000, ...options };
  }

  /** Reads what earlier runs wrote. A torn last line and anything that is not an entry is skipped. Never throws. */
  async load(): Promise<void> {
    const older = await this.#readTail(this.#path(true));
    const newer = await this.#readTail(this.#path(false));
    this.#fileBytes = newer.bytes;
    // A line that a crash tore must not swallow the next one.
    if (newer.bytes > 0 && !newer.text.endsWith('\n')) this.#lines.push('\n');
    const entries = `${older.text}\n${newer.text}`.split('\n').flatMap(parseLine);
    this.#entries = [...entries, ...this.#entries].slice(-this.#options.maxEntries);
  }

  /** In memory at once, on disk behind the caller's back. Never throws. */
  append(entry: HistoryEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length > this.#options.maxEntries) this.#entries.shift();
    let line = JSON.stringify(entry);
    if (line.length > MAX_LINE_BYTES) line = JSON.stringify({ ...entry, reason: `${entry.reason.slice(0, 200)}…` });
    // While the disk fails, lines wait, but not without end.
    if (line.length <= MAX_LINE_BYTES && this.#lines.length < this.#options.maxEntries) this.#lines.push(`${line}\n`);
    this.#writing ??= this.#writeAll();
  }

  /** Newest first. */
  list(filter: { readonly model?: string; readonly limit?: number } = {}): HistoryEntry[] {
    const { model, limit = 100 } = filter;
    const found = model === undefined ? this.#entries : this.#entries.filter((entry) => entry.model === model);
    return limit <= 0 ? [] : found.slice(-limit).toReversed();
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    // One turn of the event loop gathers what is appended together.
    await Promise.resolve();
    while (this.#lines.length > 0) {
      const lines = this.#lines;
      const text = lines.join('');
      try {
        await mkdir(this.#options.dir, { recursive: true, mode: 0o700 });
        const bytes = Buffer.byteLength(text);
        if (this.#fileBytes > 0 && this.#fileBytes + bytes > this.#options.maxBytes / 2) {
          await rename(this.#path(false), this.#path(true));
          this.#fileBytes = 0;
        }
        this.#lines = [];
        await appendFile(this.#path(false), text, { mode: 0o600 });
        this.#fileBytes += bytes;
        this.#setProblem(null);
      } catch (error) {
        this.#lines = [...lines, ...(this.#lines === lines ? [] : this.#lines)].slice(-this.#options.maxEntries);
        this.#setProblem(toMessage(error));
        break; // tried again at the next append
      }
    }
    this.#writing = null;
  }

  async #readTail(path: string): Promise<{ text: string; bytes: number }> {
    try {
      const { size } = await stat(path);
      const length = Math.min(size, this.#options.maxBytes);
      const file = await open(path, 'r');
      try {
        const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
        return { text: buffer.toString(), bytes: size };
      } finally {
        await file.close();
      }
    } catch {
      return { text: '', bytes: 0 }; // absent or unreadable: there is no history to show
    }
  }

  #setProblem(problem: string | null): void {
    if ((this.#problem === null) !== (problem === null)) this.#options.onHealth?.(problem);
    this.#problem = problem;
  }

  #path(isOlder: boolean): string {
    return join(this.#options.dir, isOlder ? 'history.1.jsonl' : 'history.jsonl');
  }
}

function parseLine(line: string): HistoryEntry[] {
  try {
    const value: unknown = JSON.parse(line);
    return isEntry(value) ? [value] : [];
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is HistoryEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { at, model, result, from, to, reason } = value as Partial<Record<keyof HistoryEntry, unknown>>;
  const isText = [at, model, reason].every((part) => typeof part === 'string');
  const isResult = CHANGE_RESULTS.some((known) => known === result);
  return isText && isResult && typeof from === 'object' && from !== null && typeof to === 'object' && to !== null;
}
