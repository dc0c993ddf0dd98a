// What every EngineAdapter promises, whatever the engine.
import { describe, expect, test } from 'vitest';
import type { EngineAdapter } from '../../sidecar/act/engine/adapter.ts';
import { MorphlingError } from '../../src/core/errors.ts';
import { START_SETTINGS } from '../../src/core/settings.ts';

/** `model` must exist at the engine behind `create`. */
export function describeEngineAdapter(
  title: string,
  create: () => EngineAdapter | Promise<EngineAdapter>,
  model: string,
): void {
  describe(`${title} as an engine adapter`, () => {
    test('has a short stable name', async () => {
      expect((await create()).name).toMatch(/^[a-z][a-z0-9-]*$/);
    });

    test('names each switch it offers with what turning it costs', async () => {
      for (const cost of Object.values(await (await create()).switches(model))) {
        expect(['live', 'reload', 'restart']).toContain(cost);
      }
    });

    test('takes settings without a switch, twice, and shows them in force', async () => {
      const engine = await create();
      await engine.apply(model, START_SETTINGS);
      await engine.apply(model, START_SETTINGS);
      expect(await engine.verify(model, START_SETTINGS)).toBe(true);
    });

    test('refuses a switch it does not offer with a MorphlingError, and leaves the old in force', async () => {
      const engine = await create();
      const wrong = { ...START_SETTINGS, switches: { 'no-such-switch': true } };
      await expect(engine.apply(model, wrong)).rejects.toBeInstanceOf(MorphlingError);
      expect(await engine.verify(model, wrong)).toBe(false);
      expect(await engine.verify(model, START_SETTINGS)).toBe(true);
    });
  });
}
