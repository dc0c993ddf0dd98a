// The one table of error codes, and the one class that carries them.

/**
 * What each code means. A code is stable: users match on it, messages may change.
 * Expected refusals (a full queue, a missing sample) are values, never one of these.
 */
export const ERROR_CODES = {
  BAD_CONFIG: 'a configuration value is not what its field expects',
  BAD_REQUEST: "a caller's request cannot be understood",
  BAD_RESPONSE: 'the model server answered with something that is not its protocol',
  BAD_SETTINGS: 'a setting is outside its bounds or not known',
  BAD_STATE: 'a state file is torn, too large or of another schema',
  UNREACHABLE: 'a server did not accept the connection',
  TIMED_OUT: 'an answer did not come in time',
  UNAUTHORISED: 'a write without a valid token',
  NOT_FOUND: 'the thing named does not exist',
  UNSUPPORTED: 'this build or machine cannot do it',
  INTERNAL: 'a fault of our own',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One bad field: where it is, what was expected there and what came. */
export interface Issue {
  /** Dotted path as a user would write it: `policy.sla.p99Ms`. Empty for the whole document. */
  readonly field: string;
  readonly expected: string;
  /** The value that came, printed short; never a secret. */
  readonly got: string;
}

/** The only error class thrown on purpose. `issues` is filled where several fields are bad at once. */
export class MorphlingError extends Error {
  override readonly name = 'MorphlingError';
  readonly code: ErrorCode;
  readonly issues: readonly Issue[];

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; issues?: readonly Issue[] } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.issues = options.issues ?? [];
  }
}

/** `policy.sla.p99Ms: expected a number above 0, got "fast"` */
export function formatIssue(issue: Issue): string {
  return `${issue.field === '' ? '(document)' : issue.field}: expected ${issue.expected}, got ${issue.got}`;
}

/** The sentence for a log or a terminal, whatever was thrown. */
export function toMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
