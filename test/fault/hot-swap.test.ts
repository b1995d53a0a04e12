import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { inspect, isDeepStrictEqual } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { createActivator } from '../../src/bundle/activator.ts';
import { createPinAuthority } from '../../src/bundle/agent/authority.ts';
import type { Bundle } from '../../src/bundle/bundle.ts';
import { mergeData } from '../../src/bundle/merged-data.ts';
import type { ChargePlan, QuotaState } from '../../src/decision/charges.ts';
import { OWNED_HEADERS } from '../../src/decision/decision.ts';
import { createGenerations, type Generations } from '../../src/decision/generations.ts';
import { isObject } from '../../src/decision/json.ts';
import type { Authorize, Instant, Quota } from '../../src/decision/ports.ts';
import { createDecisionLog, withDecisionLog } from '../../src/decision-log/decision-log.ts';
import type { DecisionEvent } from '../../src/decision-log/event.ts';
import { createInspector } from '../../src/inspection/inspector.ts';
import { createWasmEngine } from '../../src/policy/wasm-engine.ts';
import { core, generation, inferRoute, inspected, NAMED } from '../support/core.ts';
import { logConfig } from '../support/events.ts';
import { decodeCheckResponse } from '../support/ext-authz-proto.ts';
import { createCheckClient } from '../support/grpc-client.ts';
import { inferRequest } from '../support/infer-request.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { startSystemTimer, systemClock } from '../support/system-ports.ts';
import { startTestDoors } from '../support/test-doors.ts';
import { filesOf, pinOf, repacked, SHIPPED, SHIPPED_ROOTS } from '../unit/bundle/shipped.ts';

/**
 * SECURITY row 14: swaps under steady load through the real gRPC door. Generation n allows where n is even and denies
 * where it is odd; its number is in the route, the charge, the verdict and the revision, so that a request which saw
 * two of them would tell.
 */
const CALLERS = 16;
const MAX_WAIT_MS = 20_000;

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

describe('a hot swap is invisible', () => {
  test('with generations of fakes, which fail when they are asked after they were closed', async () => {
    const random = createRandom(seedOf('hot-swap fakes'));
    const seen = await underLoad({
      random,
      swaps: Math.max(50, caseCount(1_000)),
      // Many times what a request takes; a third of the generations is closed while the load goes on.
      retireAfterMs: 1_000,
      swapper: (generations) => (number) => putFake(generations, number),
    });
    report('fakes', random, seen);
  });

  test('with the real engine and activator, every tenth bundle a broken one', async () => {
    const random = createRandom(seedOf('hot-swap engine'));
    let refusals = (): number => 0;
    let broken = 0;
    const seen = await underLoad({
      random,
      swaps: Math.max(20, caseCount(120)),
      retireAfterMs: 5_000,
      swapper: (generations) => {
        const bundles = createSwappingBundles(generations);
        open.push(bundles.stop);
        refusals = bundles.refusals;
        return async (number) => {
          if (number % 10 === 0) {
            await bundles.offer(bundleOf(number).subarray(0, -100));
            broken += 1;
          }
          await bundles.offer(bundleOf(number));
        };
      },
    });
    report('real engine', random, seen);
    expect(refusals()).toBe(broken);
  });
});

interface Seen {
  readonly swaps: number;
  readonly requests: number;
  /** Swaps at a moment when requests waited between `limits` and `decision`. */
  readonly swapsDuringTake: number;
  /** Requests that were answered by a generation which was no longer in force. */
  readonly overtaken: number;
  readonly allowed: number;
  readonly faults: readonly string[];
}

function report(name: string, { seed }: Random, { faults, ...figures }: Seen): void {
  console.info(`hot swap, ${name}: ${JSON.stringify(figures)}, faults: ${faults.length} (seed ${seed})`);
  expect(faults.slice(0, 5)).toEqual([]);
  const { swaps, requests, swapsDuringTake, overtaken, allowed } = figures;
  expect(swapsDuringTake).toBeGreaterThan(swaps / 2);
  expect(overtaken).toBeGreaterThan(swaps / 2);
  // Both kinds of generation answered, each many times.
  expect(Math.min(allowed, requests - allowed)).toBeGreaterThan(swaps / 4);
}

interface Load {
  readonly random: Random;
  readonly swaps: number;
  readonly retireAfterMs: number;
  readonly swapper: (generations: Generations) => (number: number) => Promise<void> | void;
}

/** What the core knows of one request, kept without the request and its generation. */
interface Known {
  readonly revision: string | undefined;
  readonly charge: string | undefined;
}

/** Asks over and over while generations 1 to `swaps` come into force, then looks at every answer and event. */
async function underLoad({ random, swaps, retireAfterMs, swapper }: Load): Promise<Seen> {
  const faults: string[] = [];
  const known = new Map<string, Known>();
  const events = new Map<string, DecisionEvent>();
  const quota = createSlowQuota(random);
  let swapsDuringTake = 0;
  const { put, ...rest } = createGenerations({ startTimer: startSystemTimer, retireAfterMs });
  const generations: Generations = {
    ...rest,
    put: (next, close) => {
      if (quota.waiting() > 0) swapsDuringTake += 1;
      put(next, close);
      quota.letGo();
    },
  };
  open.push(generations.close);
  const { authorize } = core({
    clock: systemClock,
    startTimer: startSystemTimer,
    newDecisionId: randomUUID,
    currentGeneration: generations.current,
    quota: quota.port,
    decisions: new Map([['default', NAMED]]),
    maxWaitMs: MAX_WAIT_MS,
  });
  let overtaken = 0;
  const watched: Authorize = async (request) => {
    const outcome = await authorize(request);
    const revision = outcome.generation?.revisions.get('authz');
    known.set(outcome.decisionId, { revision, charge: quota.chargeOf(outcome.at) });
    if (outcome.generation?.number !== generations.current()?.number) overtaken += 1;
    return outcome;
  };
  const log = createMemoryLog(events, faults);
  const doors = await startTestDoors(withDecisionLog(watched, log));
  open.push(() => doors.stop());
  const client = createCheckClient(`127.0.0.1:${doors.grpcPort}`);
  open.push(() => client.close());

  const swap = swapper(generations);
  await swap(1);
  let requests = 0;
  let finished = false;
  const answers: Answer[] = [];
  const caller = async (): Promise<void> => {
    while (!finished) {
      requests += 1;
      try {
        answers.push(toAnswer(await client.check(inferRequest())));
      } catch (error) {
        faults.push(`no answer: ${String(error)}`);
      }
    }
  };
  const load = Array.from({ length: CALLERS }, caller);
  for (let number = 2; number <= swaps + 1; number++) {
    while (quota.waiting() === 0) await turn();
    const before = generations.current()?.number;
    await swap(number);
    if (generations.current()?.number === before) faults.push(`generation ${number} did not come into force`);
    await sleep(random.below(4));
  }
  finished = true;
  const noMoreSwaps = setInterval(() => quota.letGo(), 5);
  await Promise.all(load);
  clearInterval(noMoreSwaps);
  await log.stop();

  for (const answer of answers) {
    const fault = mismatch(answer, known.get(answer.decisionId), events.get(answer.decisionId));
    if (fault !== undefined) faults.push(fault);
  }
  if (answers.length !== requests) faults.push(`${answers.length} answers to ${requests} requests`);
  if (events.size !== requests) faults.push(`${events.size} events of ${requests} requests`);
  if (doors.faults.length > 0) faults.push(`the doors met ${doors.faults.length} bugs`);
  const allowed = answers.filter((answer) => answer.allowed).length;
  return { swaps, requests, swapsDuringTake, overtaken, allowed, faults };
}

interface Answer {
  readonly decisionId: string;
  readonly allowed: boolean;
  readonly upstream: string;
}

/** By the second decoder. */
function toAnswer(bytes: Uint8Array): Answer {
  const { status, okResponse, dynamicMetadata } = decodeCheckResponse(bytes);
  const upstream = okResponse?.headers?.find(({ header }) => header.key === OWNED_HEADERS.upstream);
  const decisionId = dynamicMetadata?.fields?.['decision_id']?.['stringValue'];
  return {
    decisionId: typeof decisionId === 'string' ? decisionId : '',
    allowed: (status?.code ?? 0) === 0,
    upstream: upstream?.header.value ?? 'none',
  };
}

/** What does not fit together in one request, `undefined` when all of it is of one generation. */
function mismatch(answer: Answer, known: Known | undefined, event: DecisionEvent | undefined): string | undefined {
  if (known === undefined || event === undefined) return 'an answer without its outcome or its event';
  const number = Number(/^r(\d+)$/.exec(event.bundles['authz']?.revision ?? '')?.[1]);
  const allows = number % 2 === 0;
  const found = {
    revision: known.revision,
    charge: known.charge,
    route: routeNameOf(event),
    logged: event.decision,
    code: event.code,
    allowed: answer.allowed,
    upstream: answer.upstream,
  };
  const wanted = {
    revision: `r${number}`,
    charge: limitOf(number),
    route: routeOf(number),
    logged: allows ? 'allow' : 'deny',
    code: allows ? undefined : 'policy_denied',
    allowed: allows,
    upstream: allows ? upstreamOf(number) : 'none',
  };
  return isDeepStrictEqual(found, wanted) ? undefined : `${inspect(found)} instead of ${inspect(wanted)}`;
}

function routeNameOf({ input }: DecisionEvent): unknown {
  const route = input['route'];
  return isObject(route) ? route['name'] : undefined;
}

// What generation `number` is made of.

const limitOf = (number: number): string => `limit-${number}`;
const upstreamOf = (number: number): string => `upstream-${number}`;
const routeOf = (number: number): string => `route-${number}`;

const TERMS = {
  key: ['tenant'],
  unit: 'requests',
  kind: 'rate',
  limit: 1_000_000,
  per_seconds: 1,
  cost: 1,
  scope: 'tenant',
};

function putFake(generations: Generations, number: number): void {
  let closed = false;
  const entrypoint = (value: unknown) => () => {
    if (closed) throw new Error(`generation ${number} was asked after it was closed`);
    return value;
  };
  const allow = number % 2 === 0;
  const { number: _, ...fake } = generation(
    {
      'authz/limits': entrypoint([{ ...TERMS, name: limitOf(number) }]),
      'authz/decision': entrypoint(allow ? { allow, upstream: upstreamOf(number) } : { allow }),
    },
    {
      revisions: new Map([['authz', `r${number}`]]),
      inspect: () => inspected({ route: { ...inferRoute, name: routeOf(number), requiredLimits: [limitOf(number)] } }),
    },
  );
  generations.put(fake, () => {
    closed = true;
  });
}

/** The checked-in policy over data that makes it generation `number`. */
function bundleOf(number: number): Uint8Array {
  const data = structuredClone(SHIPPED_DATA);
  const [infer] = data.catalog.routes;
  const model = data.catalog.models['llama-3-8b'];
  if (infer === undefined || model === undefined) throw new Error('the shipped data has changed its shape');
  infer.name = routeOf(number);
  infer.limits = [limitOf(number)];
  const { limit: size, ...terms } = TERMS;
  data.catalog.limits = { [limitOf(number)]: { ...terms, size } };
  model.upstreams['tenant-a'] = upstreamOf(number);
  if (number % 2 === 1) model.grants['infer'] = [];
  return repacked({
    'data.json': JSON.stringify(data),
    '.manifest': JSON.stringify({ revision: `r${number}`, roots: SHIPPED_ROOTS }),
  });
}

interface ShippedData {
  readonly catalog: {
    readonly routes: { name: string; limits: string[] }[];
    limits: { [name: string]: unknown };
    readonly models: {
      readonly [name: string]: {
        readonly upstreams: Record<string, string>;
        readonly grants: Record<string, unknown[]>;
      };
    };
  };
}

// Its own data, whose shape `bundleOf` checks where it matters.
const SHIPPED_DATA = JSON.parse(Buffer.from(filesOf(SHIPPED).get('data.json') ?? '').toString()) as ShippedData;

/** The real way of a bundle into force: download, pin, parse, engine, route table, swap. */
function createSwappingBundles(generations: Generations) {
  let offered = SHIPPED;
  let refusals = 0;
  const engine = createWasmEngine({
    config: { budget_ms: 60_000, memory_max_mb: 64, decisions: { default: NAMED } },
    clock: systemClock,
    randomBytes,
    pause: turn,
    onSpareFailure: () => undefined,
  });
  const activator = createActivator({
    bundles: new Map([
      [
        'authz',
        {
          source: { kind: 'url', load: () => Promise.resolve({ bytes: offered }) },
          // Local config cannot change while a service runs; a signature would make it unnecessary here.
          authority: createPinAuthority(
            {
              get sha256() {
                return pinOf(offered).sha256;
              },
            },
            systemClock,
          ),
          minDelayMs: 1,
          maxDelayMs: 1,
        },
      ],
    ]),
    entrypoints: ['authz/decision', 'authz/limits'],
    activate: async (bundles) => {
      const [bundle] = bundles;
      if (bundle === undefined) throw new Error('no bundle');
      await putReal(generations, bundle);
    },
    clock: systemClock,
    startTimer: startSystemTimer,
    random: Math.random,
    logger: { info: () => undefined, warn: () => undefined },
    metrics: {
      bundleActivated: () => undefined,
      bundleCopyFailed: () => undefined,
      trackBundleAges: () => undefined,
      bundleRefused: () => {
        refusals += 1;
      },
    },
  });

  async function putReal(into: Generations, bundle: Bundle): Promise<void> {
    const data = mergeData([bundle]);
    const inspectRequest = createInspector({
      catalog: data.value['catalog'],
      network: { trusted_hops: 0 },
      compatibility: {
        ambiguous_paths: false,
        duplicate_keys: false,
        header_map_bodies: true,
        expose_credentials: false,
      },
    });
    const policy = await engine.load({ plan: bundle.plan, wasm: bundle.wasm, data: data.text });
    const { evaluate, evaluateText, inputPaths, isPolicyConstant, close } = policy;
    const revisions = new Map([[bundle.name, bundle.revision]]);
    into.put({ revisions, inspect: inspectRequest, evaluate, evaluateText, inputPaths, isPolicyConstant }, close);
  }

  return {
    offer: (bytes: Uint8Array): Promise<void> => {
      offered = bytes;
      return activator.reload();
    },
    refusals: () => refusals,
    stop: () => activator.stop(),
  };
}

interface SlowQuota {
  readonly port: Quota;
  /** Requests between `limits` and `decision` now. */
  waiting(): number;
  /** Lets those go on that wait for a swap. */
  letGo(): void;
  /** The one charge that was taken for the request of this instant. */
  chargeOf(at: Instant): string | undefined;
}

/** A store that takes everything: a third at once, a third soon, and a third only after the next swap. */
function createSlowQuota(random: Random): SlowQuota {
  const taken = new WeakMap<Instant, string>();
  const held = new Set<() => void>();
  let waiting = 0;
  return {
    port: {
      take: async ({ plans }, at) => {
        taken.set(at, namesOf(plans));
        waiting += 1;
        const how = random.below(3);
        if (how === 1) await sleep(random.below(6));
        if (how === 2) await new Promise<void>((resolve) => held.add(resolve));
        waiting -= 1;
        return { kind: 'taken', take: undefined, state: { plan: 0, taken: true, limits: takenOf(plans) } };
      },
    },
    waiting: () => waiting,
    letGo: () => {
      for (const resolve of held) resolve();
      held.clear();
    },
    chargeOf: (at) => taken.get(at),
  };
}

function takenOf(plans: readonly ChargePlan[]): QuotaState['limits'] {
  return Object.fromEntries(
    (plans[0] ?? []).map(({ terms: { name, kind, unit, limit } }) => [
      name,
      {
        kind,
        unit,
        limit,
        remaining: limit,
        held: 0,
        wait_ms: 0,
        reset_ms: 0,
        exceeded: false,
        shadow: false,
        verified: true,
      },
    ]),
  );
}

function namesOf(plans: readonly ChargePlan[]): string {
  return plans
    .flat()
    .map(({ terms }) => terms.name)
    .join(' ');
}

function createMemoryLog(events: Map<string, DecisionEvent>, faults: string[]) {
  return createDecisionLog({
    config: logConfig({ queue: { max_events: 1_000_000 } }),
    labels: {},
    instanceId: 'hot-swap',
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
