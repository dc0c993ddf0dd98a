// Why a test cannot run here, as a value, so that it is skipped by name with its reason.

/** Something a test needs and this machine does not have. */
export interface Missing {
  readonly kind: 'missing';
  readonly reason: string;
}

/**
 * Says that something is not there. Where MORPHLING_TEST_STRICT is 1 it throws instead: in a place that is meant to
 * have everything, a skipped test is a test that nobody runs.
 */
export function missing(reason: string): Missing {
  if (process.env['MORPHLING_TEST_STRICT'] === '1') throw new Error(`${reason} (MORPHLING_TEST_STRICT is 1)`);
  return { kind: 'missing', reason };
}

/** A suite's name with the reason for which it is skipped, for `describe.skipIf`. */
export function titled(name: string, found: { readonly kind: string } | Missing): string {
  return 'reason' in found ? `${name} (skipped: ${found.reason})` : name;
}
