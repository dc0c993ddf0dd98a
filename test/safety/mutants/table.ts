// What can be broken, one safety property a mutant, and which suite must notice.

/** `from` null: the whole source is replaced. */
export interface Change {
  readonly file: string;
  readonly from: string | null;
  readonly to: string;
}

export interface Mutant {
  readonly name: string;
  /** The promise that it breaks. */
  readonly breaks: string;
  readonly caughtBy: 'cases' | 'answers' | 'identity';
  readonly changes: readonly Change[];
}

const naive = `export * from ${JSON.stringify(new URL('naive-forward.ts', import.meta.url).href)};`;

export const mutants: readonly Mutant[] = [
  {
    name: 'framing-unchecked',
    breaks: 'a coding beside a length, or another than chunked, is refused',
    caughtBy: 'cases',
    changes: [{ file: 'sidecar/proxy/framing.ts', from: 'if (coding !== undefined) {', to: 'if (false) {' }],
  },
  {
    name: 'framing-kept',
    breaks: 'framing is made anew',
    caughtBy: 'cases',
    changes: [
      { file: 'sidecar/proxy/headers.ts', from: "  'transfer-encoding',\n", to: '' },
      { file: 'sidecar/proxy/headers.ts', from: "  'content-length',\n", to: '' },
      { file: 'sidecar/proxy/forward.ts', from: null, to: naive },
    ],
  },
  {
    name: 'hop-headers-kept',
    breaks: 'what Connection names stays on its hop',
    caughtBy: 'cases',
    changes: [{ file: 'sidecar/proxy/headers.ts', from: ' || named?.has(lower) === true', to: '' }],
  },
  {
    name: 'refused-then-run',
    breaks: 'nothing that follows a refused request runs',
    caughtBy: 'cases',
    changes: [{ file: 'sidecar/proxy/stack.ts', from: 'refused.has(request.socket)', to: 'false' }],
  },
  {
    name: 'cut-body-ended',
    breaks: 'a body that breaks off is never ended as if it were whole',
    caughtBy: 'cases',
    changes: [
      { file: 'sidecar/proxy/body.ts', from: "stream.destroy(new Error('caller left'))", to: 'stream.push(null)' },
      // The second guard of the same promise: the call is aborted when its caller leaves.
      { file: 'sidecar/proxy/stack.ts', from: 'exchange.onLeave = () => call.abort()', to: 'void call' },
    ],
  },
  {
    name: 'upstream-reused',
    breaks: 'a connection to the model server is not used again after an error or unexpected bytes',
    caughtBy: 'answers',
    changes: [{ file: 'sidecar/proxy/forward.ts', from: null, to: naive }],
  },
  {
    name: 'reason-unchecked',
    breaks: 'an answer that cannot be written ends in an error, not in silence',
    caughtBy: 'answers',
    changes: [{ file: 'sidecar/proxy/forward.ts', from: ' || !REASON.test(statusText)', to: '' }],
  },
  {
    name: 'unsound-answer-passed',
    breaks: 'an answer with two framings is refused',
    caughtBy: 'answers',
    changes: [{ file: 'sidecar/proxy/forward.ts', from: '!headers.isSound || ', to: '' }],
  },
  {
    name: 'settled-twice',
    breaks: 'each waiter is settled once',
    caughtBy: 'identity',
    changes: [
      { file: 'sidecar/proxy/exchange.ts', from: "if (this.stage === 'settled') return false;", to: '' },
      { file: 'sidecar/proxy/exchange.ts', from: "return this.stage === 'settled';", to: 'return false;' },
    ],
  },
  {
    name: 'key-without-authorization',
    breaks: 'two callers with other credentials never share a call',
    caughtBy: 'identity',
    changes: [{ file: 'sidecar/proxy/classify.ts', from: "['authorization', ", to: '[' }],
  },
  {
    name: 'sent-again',
    breaks: 'what was sent is never sent again',
    caughtBy: 'identity',
    changes: [
      {
        file: 'sidecar/proxy/forward.ts',
        from: 'const wasSent = this.#controller !== null;',
        to: 'const wasSent = false;',
      },
    ],
  },
];
