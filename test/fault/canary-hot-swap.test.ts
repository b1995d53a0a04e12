import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { createGenerations, type GenerationParts, type Generations } from '../../src/decision/generations.ts';
import { isObject } from '../../src/decision/json.ts';
import type { Instant, Quota } from '../../src/decision/ports.ts';
import type { Principal } from '../../src/decision/principal.ts';
import { createDecisionLog, withDecisionLog } from '../../src/decision-log/decision-log.ts';
import type { DecisionEvent } from '../../src/decision-log/event.ts';
import { createShare } from '../../src/rollout/arms.ts';
import {
  accessRequest,
  anonymous,
  core,
  generation,
  inferRoute,
  inspected,
  NAMED,
  tenantA,
  verified,
} from '../support/core.ts';
import { logConfig } from '../support/events.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';

/**
 * SECURITY row 14 with arms: generations are put, staged, let decide for a part, promoted and withdrawn under steady load,
 * most of it while requests wait between `limits` and `decision`. Generation n is in the revision, the route, the charge
 * and the verdict, so that a request which saw two of them would tell; and it must be the one of its caller's arm at
 * the moment when the request began.
 */
const CALLERS = 16;
const TENANTS = 40;

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

test('a canary begins, grows, is promoted and withdrawn with one generation per request', async () => {
  const random = createRandom(seedOf('canary-hot-swap'));
  const swaps = Math.max(100, caseCount(300));
  const faults: string[] = [];
  const events = new Map<string, DecisionEvent>();
  const known = new Map<string, Known>();
  const quota = createSlowQuota(random);
  const generations = createGenerations({ startTimer: startSystemTimer, retireAfterMs: 1_000 });
  open.push(generations.close);
  let caller: Principal | undefined;
  const { authorize } = core({
    clock: systemClock,
    startTimer: startSystemTimer,
    newDecisionId: randomUUID,
    authenticate: () => (caller === undefined ? anonymous : verified(caller)),
    currentGeneration: generations.current,
    quota: quota.port,
    decisions: new Map([['default', NAMED]]),
    maxWaitMs: 20_000,
  });
  const log = createMemoryLog(events, faults);
  const logged = withDecisionLog(authorize, log);
  const principals = Array.from({ length: TENANTS }, (_, tenant) => ({ ...tenantA, tenant: `tenant-${tenant}` }));
  const counts = { requests: 0, byCanary: 0, swapsDuringTake: 0, put: 0, promoted: 0, withdrawn: 0, changedArm: 0 };
  let finished = false;

  const ask = async (): Promise<void> => {
    while (!finished) {
      counts.requests += 1;
      // Whose arm it is, and which generations there are, is settled in the same turn in which the request begins.
      const principal = random.below(8) === 0 ? undefined : random.pick(principals);
      caller = principal;
      const current = generations.current();
      const canary = current?.canary;
      const included = principal !== undefined && canary?.includes(principal) === true;
      const wanted = included ? canary?.generation : current;
      if (included) counts.byCanary += 1;
      const outcome = await logged(accessRequest());
      known.set(outcome.decisionId, {
        wanted: wanted?.revisions.get('authz'),
        found: outcome.generation?.revisions.get('authz'),
        charge: quota.chargeOf(outcome.at),
        allowed: outcome.decision.kind === 'allow',
      });
    }
  };

  generations.put(...fakeOf(0));
  const load = Array.from({ length: CALLERS }, ask);
  for (let number = 1; number <= swaps; number++) {
    while (quota.waiting() === 0) await turn();
    await swap(generations, number, random, async (what) => {
      if (quota.waiting() > 0) counts.swapsDuringTake += 1;
      counts[what] += 1;
      quota.letGo();
      await sleep(random.below(4));
    });
  }
  finished = true;
  const noMoreSwaps = setInterval(() => quota.letGo(), 5);
  await Promise.all(load);
  clearInterval(noMoreSwaps);
  await log.stop();

  for (const [id, one] of known) {
    const event = events.get(id);
    const number = Number(/^r(\d+)$/.exec(one.wanted ?? '')?.[1]);
    const allows = number % 2 === 0;
    const found = [one.found, one.charge, event?.bundles['authz']?.revision, routeNameOf(event), event?.decision];
    const wanted = [one.wanted, limitOf(number), one.wanted, routeOf(number), allows ? 'allow' : 'deny'];
    if (!isDeepStrictEqual(found, wanted) || one.allowed !== allows)
      faults.push(`${String(found)} for ${String(wanted)}`);
  }
  if (events.size !== counts.requests) faults.push(`${events.size} events of ${counts.requests} requests`);
  console.info(
    `canary hot swap: ${JSON.stringify({ swaps, ...counts })}, faults: ${faults.length} (seed ${random.seed})`,
  );
  expect(faults.slice(0, 5)).toEqual([]);
  expect(counts.swapsDuringTake).toBeGreaterThan(swaps / 2);
  expect(counts.byCanary).toBeGreaterThan(swaps / 2);
  expect(Math.min(counts.put, counts.promoted, counts.withdrawn)).toBeGreaterThan(swaps / 10);
});

interface Known {
  readonly wanted: string | undefined;
  readonly found: string | undefined;
  readonly charge: string | undefined;
  readonly allowed: boolean;
}

/** One way of generation `number`: at once, or by a canary that grows and is promoted or withdrawn. */
async function swap(
  generations: Generations,
  number: number,
  random: Random,
  then: (what: 'put' | 'promoted' | 'withdrawn' | 'changedArm') => Promise<void>,
): Promise<void> {
  const [parts, close] = fakeOf(number);
  if (random.below(3) === 0) {
    generations.put(parts, close);
    return then('put');
  }
  const staged = generations.stage(parts, close);
  const share = createShare('a salt', number.toString(16).padStart(64, '0'));
  for (const percent of [10, 50, 100]) {
    staged.decideFor((principal) => share(principal) < percent);
    await then('changedArm');
    if (random.below(4) === 0) {
      staged.decideForNobody();
      await then('changedArm');
    }
  }
  if (random.chance(0.5)) {
    staged.promote();
    return then('promoted');
  }
  staged.withdraw();
  return then('withdrawn');
}

const limitOf = (number: number): string => `limit-${number}`;
const routeOf = (number: number): string => `route-${number}`;

const TERMS = {
  key: ['route'],
  unit: 'requests',
  kind: 'rate',
  limit: 1_000_000,
  per_seconds: 1,
  cost: 1,
  scope: 'shared',
};

/** Fails when it is asked after it was closed. */
function fakeOf(number: number): [GenerationParts, () => void] {
  let closed = false;
  const entrypoint = (value: unknown) => () => {
    if (closed) throw new Error(`generation ${number} was asked after it was closed`);
    return value;
  };
  const { number: _, ...parts } = generation(
    {
      'authz/limits': entrypoint([{ ...TERMS, name: limitOf(number) }]),
      'authz/decision': entrypoint({ allow: number % 2 === 0 }),
    },
    {
      revisions: new Map([['authz', `r${number}`]]),
      inspect: () => inspected({ route: { ...inferRoute, name: routeOf(number), requiredLimits: [limitOf(number)] } }),
    },
  );
  return [
    parts,
    () => {
      closed = true;
    },
  ];
}

function routeNameOf(event: DecisionEvent | undefined): unknown {
  const route = event?.input['route'];
  return isObject(route) ? route['name'] : undefined;
}

/** A store that takes everything: a third at once, a third soon, and a third only after the next swap. */
function createSlowQuota(random: Random) {
  const taken = new WeakMap<Instant, string>();
  const held = new Set<() => void>();
  let waiting = 0;
  const take: Quota['take'] = async ({ plans: [plan = []] }, at) => {
    taken.set(at, plan.map(({ terms }) => terms.name).join(' '));
    waiting += 1;
    const how = random.below(3);
    if (how === 1) await sleep(random.below(6));
    if (how === 2) await new Promise<void>((resolve) => held.add(resolve));
    waiting -= 1;
    const limits = plan.map(({ terms: { name, kind, unit, limit } }) => [
      name,
      { kind, unit, limit, remaining: limit, held: 0, ...REST },
    ]);
    return { kind: 'taken', take: undefined, state: { plan: 0, taken: true, limits: Object.fromEntries(limits) } };
  };
  return {
    port: { take },
    waiting: () => waiting,
    letGo: () => {
      for (const resolve of held) resolve();
      held.clear();
    },
    chargeOf: (at: Instant) => taken.get(at),
  };
}

const REST = { wait_ms: 0, reset_ms: 0, exceeded: false, shadow: false, verified: true };

function createMemoryLog(events: Map<string, DecisionEvent>, faults: string[]) {
  return createDecisionLog({
    config: logConfig({ queue: { max_events: 1_000_000 } }),
    labels: {},
    instanceId: 'canary-hot-swap',
    metrics: {
      decisionLogDropped: (count) => {
        faults.push(`${count} events were dropped`);
      },
      decisionLogSinkFailed: () => undefined,
      trackDecisionLogQueue: () => undefined,
    },
    logger: { limited: () => undefined },
    randomBytes,
    startTimer: startSystemTimer,
    monotonicMs: () => performance.now(),
    stdout: process.stdout,
    sinks: [
      {
        name: 'memory',
        open: () => Promise.resolve(),
        write: (lines) => {
          for (const line of lines) {
            // `toEventLine` printed a DecisionEvent.
            const event = JSON.parse(line) as DecisionEvent;
            events.set(event.decision_id, event);
          }
          return Promise.resolve();
        },
        reopen: () => Promise.resolve(),
        close: () => Promise.resolve(),
      },
    ],
  });
}
