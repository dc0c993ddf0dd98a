// What a shell or a script learns from the end of a command.
import type { ErrorCode } from '../core/errors.ts';

/** The public table; 64 is sysexits' EX_USAGE, as agents of this kind have it for a bad configuration. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  timedOut: 4,
  badConfig: 64,
  interrupted: 130,
  /** 128 + SIGTERM: something else ended a command that was not done. */
  terminated: 143,
} as const;

/** The exit code of a command that threw. */
export function toExitCode(code: ErrorCode): number {
  if (code === 'UNREACHABLE') return EXIT.unreachable;
  if (code === 'TIMED_OUT') return EXIT.timedOut;
  return code === 'BAD_CONFIG' ? EXIT.badConfig : EXIT.failed;
}
