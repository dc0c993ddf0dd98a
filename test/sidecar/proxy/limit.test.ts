import { describe, expect, test } from 'vitest';
import { EngineGate } from '../../../sidecar/proxy/limit.ts';

describe('the engine-wide gate', () => {
  test('lets in as many calls as it says, over all lanes', () => {
    const gate = new EngineGate<string>(2);
    const [a, b] = [gate.join('a'), gate.join('b')];
    expect([gate.enter(a), gate.enter(b), gate.enter(a)]).toEqual([true, true, false]);
    expect([gate.inflight, a.inflight, b.inflight]).toEqual([2, 1, 1]);
  });

  test('a lane that floods gets its turn and no more', () => {
    const gate = new EngineGate<string>(1);
    const seats = new Map(['flood', 'b', 'c'].map((name) => [name, gate.join(name)]));
    const served: string[] = [];
    // Each always wants more; `flood` also asks first whenever a place frees, as a driver would.
    gate.enter(seats.get('flood')!);
    for (const name of ['b', 'c']) gate.enter(seats.get(name)!);
    let holder = 'flood';
    for (let round = 0; round < 30; round++) {
      gate.leave(seats.get(holder)!);
      if (gate.enter(seats.get(holder)!)) throw new Error('jumped the line');
      const next = gate.pick()!;
      expect(gate.enter(seats.get(next)!)).toBe(true);
      served.push(next);
      holder = next;
    }
    for (const name of seats.keys()) expect(served.filter((one) => one === name)).toHaveLength(10);
  });

  test('a turn that is not wanted passes on', () => {
    const gate = new EngineGate<string>(1);
    const [a, b, c] = [gate.join('a'), gate.join('b'), gate.join('c')];
    for (const seat of [a, b, c]) gate.enter(seat);
    gate.leave(a);
    expect(gate.pick()).toBe('b');
    gate.forgo(b);
    expect(gate.pick()).toBe('c');
    expect(gate.enter(c)).toBe(true);
    expect(gate.pick()).toBeNull();
  });

  test('lowering takes effect at once and cancels nothing; raising names who waits', () => {
    const gate = new EngineGate<string>(3);
    const [a, b] = [gate.join('a'), gate.join('b')];
    for (let call = 0; call < 3; call++) gate.enter(a);
    gate.enter(b);
    gate.concurrency = 1;
    expect(gate.inflight).toBe(3);
    gate.leave(a);
    gate.leave(a);
    expect(gate.pick()).toBeNull();
    gate.concurrency = 2;
    expect(gate.pick()).toBe('b');
  });

  test('forced calls are counted, above the cap if need be', () => {
    const gate = new EngineGate<string>(1);
    const seat = gate.join('a');
    gate.force(seat);
    gate.force(seat);
    expect([gate.inflight, gate.hasFreePlace, gate.enter(gate.join('b'))]).toEqual([2, false, false]);
  });

  test('a cap below one is one: no setting shuts the engine', () => {
    expect(new EngineGate<string>(0).enter(new EngineGate<string>(0).join('a'))).toBe(true);
  });
});
