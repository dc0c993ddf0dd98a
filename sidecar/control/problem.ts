// Errors of the control port as problem details (RFC 9457).
import { type Problem, PROBLEM_TYPE } from '../../src/api/problem.ts';
import { ERROR_CODES, type ErrorCode, type Issue, MorphlingError } from '../../src/core/errors.ts';

const STATUS: Readonly<Record<ErrorCode, number>> = {
  BAD_CONFIG: 422,
  BAD_REQUEST: 400,
  BAD_RESPONSE: 502,
  BAD_SETTINGS: 422,
  BAD_STATE: 500,
  UNREACHABLE: 502,
  TIMED_OUT: 504,
  UNAUTHORISED: 401,
  NOT_FOUND: 404,
  UNSUPPORTED: 409,
  INTERNAL: 500,
};

export interface ProblemOptions {
  /** Where HTTP has a better word than the code's own status. */
  readonly status?: number;
  readonly issues?: readonly Issue[];
  readonly headers?: Readonly<Record<string, string>>;
}

export function toProblem(code: ErrorCode, detail: string, options: ProblemOptions = {}): Response {
  const { status = STATUS[code], issues = [], headers = {} } = options;
  const problem: Problem = {
    type: `urn:morphling:error:${code}`,
    title: ERROR_CODES[code],
    status,
    detail,
    code,
    ...(issues.length === 0 ? {} : { issues: [...issues] }),
  };
  return new Response(JSON.stringify(problem), { status, headers: { ...headers, 'content-type': PROBLEM_TYPE } });
}

/** Only what we throw on purpose is told; of anything else the caller learns nothing but that it happened. */
export function errorToProblem(error: unknown): Response {
  if (error instanceof MorphlingError) return toProblem(error.code, error.message, { issues: error.issues });
  return toProblem('INTERNAL', 'see the log of the agent');
}
