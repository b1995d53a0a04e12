import { describe, expect, test } from 'vitest';
import { createKeySource, type KeySourceTiming, type Refreshed } from '../../../src/identity/jwks.ts';
import type { KeySet } from '../../../src/identity/key-set.ts';
import { INVALID, jwtIssuer, jwtMethod, manualTime, payload, request, testKey, token, turn } from './support.ts';

const TIMING: KeySourceTiming = { cooldownMs: 30_000, refreshMs: 300_000, maxAgeMs: 3_600_000, timeoutMs: 2000 };

/** A set that is known by its text; its keys do not matter here. */
function toSet(text: string): Promise<KeySet> {
  if (text.startsWith('garbage')) return Promise.reject(new SyntaxError('the key set has no list `keys`'));
  const keys = text === 'empty' ? [] : [{ kid: text, byAlgorithm: new Map() }];
  return Promise.resolve({ digest: text, keys, byKid: new Map() });
}

function sourceOf(timing: Partial<KeySourceTiming> = {}, random = () => 0.5) {
  const time = manualTime();
  const events: Refreshed[] = [];
  const loads: { readonly signal: AbortSignal; answer(text: string): void; fail(error: Error): void }[] = [];
  let auto: (() => string) | undefined;
  const source = createKeySource({
    load: (signal) =>
      new Promise((resolve, reject) => {
        loads.push({ signal, answer: resolve, fail: reject });
        if (auto !== undefined) {
          try {
            resolve(auto());
          } catch (error) {
            reject(error);
          }
        }
      }),
    parse: toSet,
    timing: { ...TIMING, ...timing },
    clock: time.clock,
    startTimer: time.startTimer,
    random,
    report: (event) => events.push(event),
  });
  return {
    time,
    events,
    loads,
    source,
    digest: () => source.current(time.clock.now())?.digest,
    fault: () => source.fault(time.clock.now()),
    setAuto: (answer: () => string) => {
      auto = answer;
    },
  };
}

describe('a key source', () => {
  test('has nothing and says so until its first answer', async () => {
    const { source, loads, digest, fault, events } = sourceOf();
    expect([digest(), fault()]).toEqual([undefined, 'its keys were never loaded']);
    const started = source.start();
    loads[0]?.answer('one');
    await started;
    expect([digest(), fault()]).toEqual(['one', undefined]);
    expect(events).toEqual([{ kind: 'loaded', keys: 1, changed: true }]);
    source.stop();
  });

  test('begins one attempt however many ask at once, and all of them see its answer', async () => {
    const { source, loads, time, digest } = sourceOf();
    const started = source.start();
    loads[0]?.answer('one');
    await started;
    await time.advance(30_000);
    const waits = Array.from({ length: 1000 }, async () => source.refresh());
    expect(loads.length).toBe(2);
    loads[1]?.answer('two');
    await Promise.all(waits);
    expect(digest()).toBe('two');
    source.stop();
  });

  test('begins at most one attempt per cool-down, however many random names are asked for', async () => {
    const { source, loads, time, setAuto } = sourceOf();
    setAuto(() => 'one');
    await source.start();
    let begun = 0;
    for (let asked = 0; asked < 100_000; asked += 1) if (source.refresh() !== undefined) begun += 1;
    expect([begun, loads.length]).toEqual([0, 1]);
    for (let elapsedMs = 0; elapsedMs < 290_000; elapsedMs += 1000) {
      await time.advance(1000);
      for (let asked = 0; asked < 100; asked += 1) await source.refresh();
    }
    // 290 s of constant asking hold nine cool-downs of 30 s.
    expect(loads.length).toBe(1 + 9);
    source.stop();
  });

  test('keeps to the cool-down when attempts fail, too', async () => {
    const { source, loads, time, setAuto } = sourceOf();
    setAuto(() => {
      throw new Error('down');
    });
    await source.start();
    for (let elapsedMs = 0; elapsedMs < 300_000; elapsedMs += 500) {
      await time.advance(500);
      await source.refresh();
    }
    expect(loads.length).toBeLessThanOrEqual(11);
    expect(loads.length).toBeGreaterThanOrEqual(10);
    source.stop();
  });

  test('a new key is usable within the cool-down while random names are asked for', async () => {
    const { source, time, setAuto, digest } = sourceOf();
    setAuto(() => 'one');
    await source.start();
    await time.advance(30_000);
    await source.refresh();
    setAuto(() => 'two');
    let waitedMs = 0;
    while (digest() !== 'two' && waitedMs < 60_000) {
      await time.advance(1000);
      waitedMs += 1000;
      await source.refresh();
    }
    expect(waitedMs).toBe(30_000);
    source.stop();
  });

  test('reads again by itself, spread by chance by a tenth to either side', async () => {
    for (const [chance, dueMs] of [
      [0, 270_000],
      [0.5, 300_000],
      [0.999_999, 330_000],
    ] as const) {
      const { source, loads, time, setAuto } = sourceOf({}, () => chance);
      setAuto(() => 'one');
      await source.start();
      await time.advance(dueMs - 1);
      expect(loads.length).toBe(1);
      await time.advance(1);
      expect(loads.length).toBe(2);
      source.stop();
    }
  });

  test('keeps the last good set through an outage until its maximum age, not a millisecond longer', async () => {
    const { source, time, setAuto, digest, fault } = sourceOf();
    setAuto(() => 'one');
    await source.start();
    setAuto(() => {
      throw new Error('connect ECONNREFUSED');
    });
    await time.advance(3_600_000);
    expect([digest(), fault()]).toEqual(['one', undefined]);
    await time.advance(1);
    expect([digest(), fault()]).toEqual([undefined, 'its keys are too old: connect ECONNREFUSED']);
    setAuto(() => 'two');
    await time.advance(33_000);
    expect([digest(), fault()]).toEqual(['two', undefined]);
    source.stop();
  });

  test('an unchanged answer renews the age and keeps the very set', async () => {
    const { source, time, setAuto, events } = sourceOf();
    setAuto(() => 'one');
    await source.start();
    const first = source.current(time.clock.now());
    await time.advance(7_200_000);
    expect(source.current(time.clock.now())).toBe(first);
    expect(events.at(-1)).toEqual({ kind: 'loaded', keys: 1, changed: false });
    source.stop();
  });

  test('garbage does not replace a good set', async () => {
    const { source, time, setAuto, digest, events } = sourceOf();
    setAuto(() => 'one');
    await source.start();
    setAuto(() => 'garbage');
    await time.advance(300_000);
    expect(digest()).toBe('one');
    expect(events.at(-1)).toEqual({ kind: 'failed', cause: 'the key set has no list `keys`' });
    source.stop();
  });

  test('an empty set does: its issuer has withdrawn its keys', async () => {
    const { source, time, setAuto, digest, fault } = sourceOf();
    setAuto(() => 'one');
    await source.start();
    setAuto(() => 'empty');
    await time.advance(300_000);
    expect([digest(), fault()]).toEqual(['empty', 'its key set has no usable key']);
    source.stop();
  });

  test('gives an attempt up after its timeout; what it answers later is dropped', async () => {
    const { source, loads, time, digest, events } = sourceOf();
    void source.start();
    await time.advance(2000);
    expect(loads[0]?.signal.aborted).toBe(true);
    expect(events).toEqual([{ kind: 'failed', cause: 'no answer within 2000 ms' }]);
    await time.advance(32_000);
    loads[1]?.answer('new');
    await turn();
    loads[0]?.answer('old');
    await turn();
    expect(digest()).toBe('new');
    source.stop();
  });

  test('keeps a request waiting for 100 ms at most', async () => {
    const { source, time } = sourceOf();
    void source.start();
    let over = false;
    void source.refresh()?.then(() => {
      over = true;
    });
    await time.advance(99);
    expect(over).toBe(false);
    await time.advance(1);
    expect(over).toBe(true);
    source.stop();
  });

  test('stops for good: no timer is left, the attempt is aborted and its answer dropped', async () => {
    const { source, loads, time, digest, events } = sourceOf();
    void source.start();
    source.stop();
    expect(loads[0]?.signal.aborted).toBe(true);
    loads[0]?.answer('late');
    await turn();
    expect([digest(), events, time.pending(), source.refresh()]).toEqual([undefined, [], 0, undefined]);
    await time.advance(1e9);
    expect(loads.length).toBe(1);
  });

  test('can be started again after a stop, and an answer of before does not count', async () => {
    const { source, loads, digest } = sourceOf();
    void source.start();
    source.stop();
    const again = source.start();
    loads[0]?.answer('before');
    await turn();
    expect(digest()).toBeUndefined();
    loads[1]?.answer('after');
    await again;
    expect(digest()).toBe('after');
    source.stop();
  });
});

describe('tokens while an issuer has no keys', () => {
  test('are answered `issuer_unavailable` without waiting for more than 100 ms', async () => {
    const { source, time } = sourceOf();
    const method = jwtMethod(await jwtIssuer({}, source));
    void method.start();
    const presented = `Bearer ${token(testKey('ES256'), payload())}`;
    const found = Promise.resolve(method.authenticate(request(presented), time.clock.now()));
    await time.advance(100);
    expect(await found).toMatchObject({ kind: 'refused', code: 'issuer_unavailable' });
    expect(method.faults(time.clock.now())).toEqual(['issuer `https://issuer.test`: its keys were never loaded']);
    method.stop();
  });

  test('a forged one is refused for what it is without asking for keys', async () => {
    const { source, time, loads } = sourceOf();
    const method = jwtMethod(await jwtIssuer({}, source));
    const presented = `Bearer ${token(testKey('ES256'), payload({ aud: 'other' }))}`;
    expect(await method.authenticate(request(presented), time.clock.now())).toMatchObject(INVALID);
    expect(loads.length).toBe(0);
  });
});
