import type { Instant } from '../../../src/decision/ports.ts';
import type { BucketCharge, BucketTerms } from '../../../src/quota/bucket.ts';
import { type BucketStore, type Receipt, StoreFault } from '../../../src/quota/bucket-store.ts';
import { createReservationId } from '../../../src/quota/reservation-id.ts';
import type { Random } from '../seed.ts';
import type { RecordedOperation, Span, Step } from './history.ts';
import type { Scenario } from './scenario.ts';

export interface ClientOptions {
  readonly store: BucketStore;
  readonly scenario: Scenario;
  /** Of this client among all; its clock bucket's place too. */
  readonly client: number;
  readonly random: Random;
  readonly operations: number;
  readonly now: () => Instant;
  /** On a clock that all clients share. */
  readonly nowUs: () => number;
  /** How far the store's clocks may be from the client's; 0 where it goes by the instants it is given. */
  readonly clockSlackMs: number;
  readonly record: (operation: RecordedOperation) => void;
  /** Reservations that several clients settle, release and put off; shared by those of one process. */
  readonly open: OpenReservation[];
}

export interface OpenReservation {
  readonly id: string;
  readonly charges: readonly BucketCharge[];
  /** Of a take that was left unrecorded: it is given back once, with this, and never settled. */
  readonly receipt?: Receipt | undefined;
}

/** One client of a store: draws operations, carries them out and records them. */
export async function runClient(options: ClientOptions): Promise<void> {
  const { store, scenario, client, random, operations, open } = options;
  let done = 0;
  const clock = charge(scenario.clocks[client], 1);
  const { hotRates, hotWindows, concurrency, cold } = scenario;
  const hot = [clock.terms, ...hotRates, ...hotWindows, ...concurrency];
  const newId = (): string =>
    createReservationId(options.now().epochMs, (count) => Buffer.from(random.bytes(count)), 'tenant');

  await take([[clock]]);
  while (done < operations) await draw();
  await peek([...hot, ...cold]);

  async function draw(): Promise<void> {
    // So many are open at once at the most.
    const roll = open.length > 4 * scenario.clocks.length ? 0.45 + random.next() * 0.5 : random.next();
    const reservation = open.length > 0 && roll >= 0.45 ? open.splice(random.below(open.length), 1)[0] : undefined;
    if (reservation === undefined) {
      if (roll > 0.98) await forced();
      else if (roll > 0.95) await peek(hot);
      else await take(drawPlans());
    } else if (reservation.receipt !== undefined) await release(reservation);
    else if (roll < 0.75) await settle(reservation);
    else if (roll < 0.87) await release(reservation);
    else if (roll < 0.92) await Promise.all([settle(reservation), release(reservation)]);
    else if (roll < 0.96) await Promise.all([release(reservation), release(reservation)]);
    else {
      await renew(reservation);
      open.push(reservation);
    }
    // Tells what no answer of these did.
    if (reservation !== undefined && random.chance(0.8)) await peek(hot);
    // What is settled or given back once more changes nothing.
    if (reservation?.receipt === undefined && reservation !== undefined && random.chance(0.05))
      await settle(reservation);
  }

  function drawPlans(): readonly (readonly BucketCharge[])[] {
    const [requests, tokens] = scenario.hotRates;
    const [month, second] = scenario.hotWindows;
    const cold = charge(random.pick(scenario.cold), 1 + random.below(2));
    const slots = { ...charge(scenario.concurrency[0], 1), hold: { ttlMs: 600_000, onExpiry: 'release' } } as const;
    const units = 1 + random.below(50);
    const reserved = (terms: BucketTerms | undefined): BucketCharge => ({
      ...charge(terms, units),
      hold: {
        ttlMs: random.chance(0.1) ? 20 + random.below(80) : 600_000,
        onExpiry: random.chance(0.8) ? 'charge' : 'release',
      },
    });
    const roll = random.next();
    if (roll < 0.3) return [[clock, charge(requests, 1), reserved(tokens), reserved(month)]];
    if (roll < 0.45)
      return [
        [clock, slots, reserved(tokens)],
        [clock, charge(requests, 1)],
      ];
    if (roll < 0.6) return [[clock, charge(second, 1), charge(requests, 1)]];
    if (roll < 0.8)
      return [
        [clock, charge(requests, 1 + random.below(3)), { ...charge(tokens, units), enforced: random.chance(0.5) }],
      ];
    if (roll < 0.9) return [[clock, cold, charge(requests, 1)]];
    return [[clock, { ...charge(tokens, units), refundable: false }, slots]];
  }

  async function take(plans: readonly (readonly BucketCharge[])[]): Promise<void> {
    const id = newId();
    const how = random.chance(0.5) ? { fresh: true, unrecorded: true } : {};
    const answer = await recorded({ kind: 'take', id, plans }, (at) => store.take({ id, plans, note: '', ...how }, at));
    if (answer?.kind !== 'taken') return;
    const { receipt } = answer;
    const charges = plans[answer.plan] ?? [];
    // The window that is over soon and the charge that tells the time are never given back.
    if (charges.length > 1 && !charges.some(({ terms }) => terms === scenario.hotWindows[1]))
      open.push({ id, charges, receipt });
    if (receipt === undefined && random.chance(0.02))
      await recorded({ kind: 'take', id, plans }, (at) => store.take({ id, plans, note: '' }, at));
  }

  async function settle({ id, charges }: OpenReservation): Promise<void> {
    const used = charges
      .filter(({ hold }) => hold !== undefined)
      .map(({ cost, terms }) => {
        if (terms.kind === 'concurrency') return 1;
        return random.pick([0, cost, random.below(cost + 1), random.below(2 * cost + 1)]);
      });
    await recorded({ kind: 'settle', id, used }, (at) => store.settle(id, used, at));
  }

  async function release({ id, charges, receipt }: OpenReservation): Promise<void> {
    await recorded({ kind: 'release', id, charges }, async (at) => {
      await store.release(id, charges, at, receipt);
      return 'done' as const;
    });
  }

  async function renew({ id }: OpenReservation): Promise<void> {
    const ttlMs = 500_000 + random.below(200_000);
    await recorded({ kind: 'renew', id, ttlMs }, (at) => store.renew(id, ttlMs, at));
  }

  async function forced(): Promise<void> {
    const charges = [charge(scenario.hotRates[1], random.chance(0.7) ? 1 + random.below(20) : -1 - random.below(20))];
    await recorded({ kind: 'charge', charges }, async (at) => {
      await store.charge(charges, at);
      return 'done' as const;
    });
  }

  async function peek(buckets: readonly BucketTerms[]): Promise<void> {
    await recorded({ kind: 'peek', buckets }, (at) => store.peek(buckets, at));
  }

  async function recorded<A>(step: Step, ask: (at: Instant) => A | Promise<A>): Promise<A | undefined> {
    done += 1;
    const { clockSlackMs: slackMs } = options;
    const startUs = options.nowUs();
    const at = options.now();
    let answer: A | undefined;
    let endUs: number | null;
    let isRefused = false;
    try {
      answer = await ask(at);
      endUs = options.nowUs();
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error;
      endUs = null;
      // Every other reason says that nothing was done.
      isRefused = error.reason !== 'unknown_outcome';
    }
    const last = slackMs === 0 ? at : options.now();
    const span = (first: number, final: number): Span => [Math.floor(first) - slackMs, Math.floor(final) + slackMs];
    if (!isRefused) {
      options.record({
        client,
        startUs,
        endUs,
        steadyMs: span(at.monotonicMs, last.monotonicMs),
        epochMs: span(at.epochMs, last.epochMs),
        // The answer belongs to the kind: both come from one call.
        step: (answer === undefined ? step : { ...step, answer }) as Step,
      });
    }
    return answer;
  }

  function charge(terms: BucketTerms | undefined, cost: number): BucketCharge {
    if (terms === undefined) throw new Error('the scenario has too few buckets');
    return { terms, cost, enforced: true, refundable: true };
  }
}
