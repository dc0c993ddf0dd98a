import { expect, test } from 'vitest';
import { createNoEngine } from '../../../../sidecar/act/engine/none.ts';
import { START_SETTINGS } from '../../../../src/core/settings.ts';
import { describeEngineAdapter } from '../../../contract/engine-adapter.ts';

describeEngineAdapter('no engine', createNoEngine, 'm');

test('no engine offers no switch, and its refusal names the one that was asked for', async () => {
  const engine = createNoEngine();
  expect(await engine.switches('m')).toEqual({});
  await expect(engine.apply('m', { ...START_SETTINGS, switches: { tensorrt: true } })).rejects.toThrow('tensorrt');
});
