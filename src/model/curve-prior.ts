// What latency curves look like before anything is measured: mean and covariance over 67 published ones.

/** Batch sizes at which the curve is held; between them it is drawn straight in log-log. */
export const KNOT_ITEMS: readonly number[] = [1, 2, 4, 8, 16, 32, 64];

/** ln L at the knots relative to the curve's own mean over them. Made by `test/bench/curve-prior.ts` from the training families; a test makes it again. */
export const PRIOR_MEAN: readonly number[] = [-0.6985, -0.5932, -0.4298, -0.1794, 0.1451, 0.6143, 1.1414];

/** Covariance of the same. The level of a curve is not in it: that is free. */
export const PRIOR_COVARIANCE: readonly (readonly number[])[] = [
  [0.1448, 0.1168, 0.0688, -0.0028, -0.0642, -0.1113, -0.1521],
  [0.1168, 0.1021, 0.062, 0.002, -0.0513, -0.0962, -0.1354],
  [0.0688, 0.062, 0.0443, 0.0066, -0.0305, -0.0624, -0.0888],
  [-0.0028, 0.002, 0.0066, 0.0139, 0.0051, -0.0083, -0.0164],
  [-0.0642, -0.0513, -0.0305, 0.0051, 0.0324, 0.0476, 0.0608],
  [-0.1113, -0.0962, -0.0624, -0.0083, 0.0476, 0.0967, 0.1338],
  [-0.1521, -0.1354, -0.0888, -0.0164, 0.0608, 0.1338, 0.198],
];
