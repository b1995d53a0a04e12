import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Instant } from '../../src/decision/ports.ts';
import type { BucketCharge, BucketTerms } from '../../src/quota/bucket.ts';
import type { BucketStore, StoreTaken } from '../../src/quota/bucket-store.ts';
import { createWindows } from '../../src/quota/calendar.ts';
import { createReferenceBucketStore } from '../support/reference-bucket-store.ts';
import { caseCount, seedOf } from '../support/seed.ts';
import { concurrency, type Kit, LONG_MS, type OpenBucketStore, openKit, rate, window } from './bucket-store-kit.ts';

/** Histories of up to forty steps on four buckets, each step compared with the reference store. */
export function historySuite(open: () => Promise<OpenBucketStore>): void {
  test('every step of a random history is answered as by the reference store, and leaves the buckets as it does', async () => {
    const kit = await openKit(open);
    const seed = seedOf('bucket store histories');
    await fc.assert(
      fc.asyncProperty(fc.array(stepOf(kit.manualTime), { minLength: 1, maxLength: 40 }), async (steps) => {
        const history = startHistory(kit);
        for (const step of steps) await history.carryOut(step);
      }),
      { seed: seed | 0, numRuns: caseCount(kit.manualTime ? 400 : 60) },
    );
  });
}

interface DrawnCharge {
  readonly bucket: number;
  readonly cost: number;
  readonly enforced: boolean;
  readonly refundable: boolean;
  readonly hold: { readonly ttlMs: number; readonly onExpiry: 'charge' | 'release' } | null;
}

type Step =
  | { readonly kind: 'take'; readonly plans: readonly (readonly DrawnCharge[])[] }
  | { readonly kind: 'again' | 'release' | 'look'; readonly of: number }
  | { readonly kind: 'early' }
  | { readonly kind: 'settle'; readonly of: number; readonly used: readonly number[] }
  | { readonly kind: 'renew'; readonly of: number; readonly ttlMs: number }
  | { readonly kind: 'charge'; readonly bucket: number; readonly cost: number }
  | { readonly kind: 'resize'; readonly bucket: number; readonly limit: number }
  | { readonly kind: 'pass'; readonly ms: number };

function stepOf(manualTime: boolean): fc.Arbitrary<Step> {
  const ttlMs = manualTime ? fc.constantFrom(1, 50, 100, 1000, 30_000) : fc.constant(LONG_MS);
  const drawn = fc.record<DrawnCharge>({
    bucket: fc.nat(3),
    cost: fc.oneof(fc.nat(4), fc.nat(16)),
    enforced: fc.boolean(),
    refundable: fc.boolean(),
    hold: fc.option(fc.record({ ttlMs, onExpiry: fc.constantFrom('charge' as const, 'release' as const) })),
  });
  const plan = fc.uniqueArray(drawn, { maxLength: 4, selector: ({ bucket }) => bucket });
  const of = fc.nat(30);
  const take = {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('take' as const), plans: fc.array(plan, { minLength: 1, maxLength: 3 }) }),
  };
  const rest: fc.WeightedArbitrary<Step>[] = [
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('again' as const, 'look' as const), of }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('release' as const), of }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'early' as const }) },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant('settle' as const),
        of,
        used: fc.array(fc.nat(20), { minLength: 4, maxLength: 4 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('renew' as const), of, ttlMs }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('charge' as const),
        bucket: fc.nat(3),
        cost: fc.integer({ min: -10, max: 20 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('resize' as const),
        bucket: fc.nat(3),
        limit: fc.integer({ min: 1, max: 20 }),
      }),
    },
  ];
  if (manualTime) {
    const ms = fc.constantFrom(0, 1, 49, 50, 51, 99, 100, 333, 1000, 10_000, 40_000);
    rest.push({ weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms }) });
  }
  return fc.oneof(take, ...rest);
}

function startHistory(kit: Kit) {
  const { store, manualTime, shown } = kit;
  const reference = createReferenceBucketStore();
  const began = kit.now();
  // Where time is real nothing may hang on it: the reference's stands still, and the buckets are slow.
  const at = (): Instant => (manualTime ? kit.now() : began);
  const buckets: BucketTerms[] = manualTime
    ? [
        rate(10, { periodMs: 1000, burst: 15 }),
        rate(3, { periodMs: 7, burst: 9 }),
        window(10, createWindows({ periodSeconds: 10 })),
        concurrency(3),
      ]
    : [rate(10), rate(5, { burst: 9 }), window(10), concurrency(3)];
  const known: { readonly id: string; readonly plan: readonly BucketCharge[]; readonly held: number }[] = [];

  /** The terms of a bucket by its place; a concurrency limit holds, whatever was drawn. */
  const toCharge = ({ bucket, cost, hold, ...flags }: DrawnCharge): BucketCharge => {
    const terms = termsAt(bucket);
    const needed = terms.kind === 'concurrency' ? (hold ?? { ttlMs: LONG_MS, onExpiry: 'release' as const }) : hold;
    const plain = { terms, cost: terms.kind === 'concurrency' ? 1 : cost, ...flags };
    return needed === null ? plain : { ...plain, hold: needed };
  };
  const termsAt = (bucket: number): BucketTerms => {
    const terms = buckets[bucket];
    if (terms === undefined) throw new Error(`there is no bucket ${bucket}`);
    return terms;
  };
  const standing = async (of: BucketStore, moment: Instant) =>
    (await of.peek(buckets, moment)).map((state) => {
      const { version, ...rest } = shown(state);
      return { version, rest };
    });
  const answer = (taken: StoreTaken) => {
    if (taken.kind === 'exceeded') return { ...taken, states: taken.states.map((states) => states.map(unversioned)) };
    return taken.kind === 'taken' ? { ...taken, states: taken.states.map(unversioned) } : taken;
  };
  /** A store may forget a bucket in which nothing is left, and count its writes from the start. */
  const unversioned = (state: Parameters<typeof shown>[0]) => ({ ...shown(state), version: 0 });
  const both = async <T>(call: (one: BucketStore, moment: Instant) => T | Promise<T>): Promise<readonly [T, T]> => [
    await call(store, kit.now()),
    await call(reference, at()),
  ];

  const take = async (plans: readonly (readonly BucketCharge[])[]): Promise<void> => {
    const id = kit.newId();
    const request = { id, plans, note: `note of ${id}` };
    const before = await standing(store, kit.now());
    const [ours, theirs] = await both((one, moment) => one.take(request, moment));
    expect(answer(ours)).toEqual(answer(theirs));
    const after = await standing(store, kit.now());
    const plan = ours.kind === 'taken' ? (plans[ours.plan] ?? []) : [];
    const written = buckets.map(({ id: bucket }) => {
      const index = plan.findIndex(({ terms }) => terms.id === bucket);
      return index !== -1 && ours.kind === 'taken' && ours.states[index]?.fits === true ? 1 : 0;
    });
    expect(after.map(({ version }, index) => version - (before[index]?.version ?? 0))).toEqual(written);
    if (ours.kind !== 'taken') return;
    known.push({ id, plan, held: plan.filter(({ hold }) => hold !== undefined).length });
  };

  const carryOut = async (step: Step): Promise<void> => {
    const one = 'of' in step ? known[step.of % Math.max(1, known.length)] : undefined;
    switch (step.kind) {
      case 'take':
        await take(step.plans.map((plan) => plan.map(toCharge)));
        break;
      case 'early': {
        const id = kit.newId();
        const plan = [toCharge({ bucket: 0, cost: 1, enforced: true, refundable: true, hold: null })];
        await both((each, moment) => each.release(id, plan, moment));
        const answers = await both((each, moment) => each.take({ id, plans: [plan], note: '' }, moment));
        expect(answers).toEqual([{ kind: 'released' }, { kind: 'released' }]);
        break;
      }
      case 'charge': {
        const forced = toCharge({ bucket: step.bucket, cost: step.cost, enforced: true, refundable: true, hold: null });
        if (forced.terms.kind !== 'concurrency') await both((each, moment) => each.charge([forced], moment));
        break;
      }
      case 'resize': {
        const terms = termsAt(step.bucket);
        buckets[step.bucket] = { ...terms, limit: step.limit, burst: step.limit };
        break;
      }
      case 'pass':
        await kit.advance(step.ms);
        break;
      case 'again':
        if (one === undefined) break;
        for (const { kind } of await both((each, moment) =>
          each.take({ id: one.id, plans: [one.plan], note: '' }, moment),
        )) {
          expect(['duplicate', 'released']).toContain(kind);
        }
        break;
      case 'release':
        if (one !== undefined) await both((each, moment) => each.release(one.id, one.plan, moment));
        break;
      case 'look':
      case 'settle':
      case 'renew':
        if (one !== undefined && one.held > 0) await ofReservation(step, one.id, one.held);
    }
    const [ours, theirs] = [await standing(store, kit.now()), await standing(reference, at())];
    expect(ours.map(({ rest }) => rest)).toEqual(theirs.map(({ rest }) => rest));
  };

  const ofReservation = async (
    step: Exclude<Step, { kind: 'take' | 'early' | 'charge' | 'resize' | 'pass' }>,
    id: string,
    held: number,
  ): Promise<void> => {
    if (step.kind === 'settle') {
      const [ours, theirs] = await both((each, moment) => each.settle(id, step.used.slice(0, held), moment));
      expect(ours).toBe(theirs);
    } else if (step.kind === 'renew') {
      const [ours, theirs] = await both((each, moment) => each.renew(id, step.ttlMs, moment));
      expect(ours).toBe(theirs);
    }
    const [ours, theirs] = await both((each, moment) => each.look(id, moment));
    const timeless = manualTime ? {} : { expiresMs: 0 };
    expect({ ...ours, ...timeless }).toEqual({ ...theirs, ...timeless });
  };

  return { carryOut };
}
