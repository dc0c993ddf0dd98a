// Bytes of a child's output into lines, in bounded memory whatever the child writes.

/**
 * Cuts chunks into lines of at most `mostChars`; a longer one is dropped whole and told as null, so that neither half
 * a row nor a flood without a line end does harm.
 */
export class LineSplitter {
  readonly #mostChars: number;
  readonly #onLine: (line: string | null) => void;
  readonly #decoder = new TextDecoder();
  #rest = '';
  #isTooLong = false;

  constructor(mostChars: number, onLine: (line: string | null) => void) {
    this.#mostChars = mostChars;
    this.#onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    let text = this.#rest + this.#decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      this.#take(text.slice(0, end));
      text = text.slice(end + 1);
    }
    if (text.length > this.#mostChars) {
      this.#isTooLong = true;
      text = '';
    }
    this.#rest = text;
  }

  /** The last line, if the output ended without a line end. */
  end(): void {
    if (this.#rest !== '' || this.#isTooLong) this.#take(this.#rest);
    this.#rest = '';
  }

  #take(line: string): void {
    const isTooLong = this.#isTooLong || line.length > this.#mostChars;
    this.#isTooLong = false;
    this.#onLine(isTooLong ? null : line);
  }
}
