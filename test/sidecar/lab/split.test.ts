import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { toProfilesFile } from '../../../sidecar/lab/demo-data.ts';
import { parseProfiles } from '../../../sidecar/lab/profiles.ts';
import { splitProfiles, toFamily } from '../../../sidecar/lab/split.ts';
import { PRIOR_COVARIANCE, PRIOR_MEAN } from '../../../src/model/curve-prior.ts';
import { fitPrior } from '../../bench/curve-prior.ts';

const profiles = parseProfiles(readFileSync(toProfilesFile(), 'utf8'));
const { training, heldOut } = splitProfiles(profiles);

test('every shipped profile has a family and stands on one side of the split', () => {
  expect(profiles.filter((profile) => toFamily(profile) === null)).toEqual([]);
  expect(training.length + heldOut.length).toBe(profiles.length);
  expect([training.length, heldOut.length]).toEqual([67, 36]);
});

test('no family, and so no model, is on both sides', () => {
  const families = new Set(training.map(toFamily));
  expect(heldOut.filter((profile) => families.has(toFamily(profile)))).toEqual([]);
  expect(families.size).toBe(4);
});

test('a model of no family is learnt from by nobody', () => {
  const stranger = { ...profiles[0]!, model: 'Llama-3' };
  expect(splitProfiles([stranger])).toEqual({ training: [], heldOut: [] });
});

test('the prior of the curve is that of the training families, and of no other', () => {
  const { mean, covariance } = fitPrior();
  expect(mean.map((value) => Number(value.toFixed(4)))).toEqual(PRIOR_MEAN);
  expect(covariance.map((row) => row.map((value) => Number(value.toFixed(4))))).toEqual(PRIOR_COVARIANCE);
});
