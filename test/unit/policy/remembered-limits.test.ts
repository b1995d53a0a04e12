import { expect, test } from 'vitest';
import { readArchive } from '../../../src/bundle/archive.ts';
import { type ChargePlan, parsePlans } from '../../../src/decision/charges.ts';
import { toPolicyInput } from '../../../src/decision/input.ts';
import type { Evaluation, Inspected, Instant, MatchedRoute } from '../../../src/decision/ports.ts';
import type { Peer, Principal } from '../../../src/decision/principal.ts';
import type { PolicyConfig } from '../../../src/policy/config.ts';
import type { LoadedPolicy } from '../../../src/policy/policy-engine.ts';
import { createJsEngineForTest } from '../../contract/policy-support/engine.ts';
import { accessRequest, inspected } from '../../support/core.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import { SHIPPED } from '../bundle/shipped.ts';

const LIMITS = 'authz/limits';
const NAMED = { decision: 'authz/decision', limits: LIMITS, result: 'sallyport' } as const;
const NOON = Date.UTC(2026, 10, 2, 12);
const MINUTE = 60_000;

/** Limits of every kind that the shipped policies know, some of them for a while only. */
const CATALOG = {
  limits: {
    'country-rps': {
      ...{ cost: 'request', key: ['tenant', 'country'], kind: 'rate', per_seconds: 1, scope: 'tenant' },
      ...{ size: 40, unit: 'requests' },
    },
    'upload-bytes': {
      ...{ cost: 'body_bytes', key: ['principal'], kind: 'rate', per_seconds: 60, scope: 'tenant' },
      ...{ size: { by_model: { 'llama-3-8b': 5_000_000, 'mistral-7b': 4_000_000 } }, unit: 'bytes' },
    },
  },
  overrides: {
    'client-rps': [
      { for: { tenant: 'tenant-a' }, size: 77, until: '2026-11-02T12:05:00Z' },
      { for: { tenant: 'tenant-a', subject: 'bob' }, size: 78, until: '2026-11-02T12:10:00Z' },
      { for: { key_id: 'k-2' }, size: 79, until: '2026-11-02T11:59:00Z' },
    ],
  },
};

/** The shipped bundle with more limits; with `remembering` false another decision uses its limits, which decides. */
async function load(remembering: boolean): Promise<LoadedPolicy> {
  const decisions: PolicyConfig['decisions'] = {
    default: NAMED,
    ...(remembering ? {} : { other: { decision: LIMITS, result: 'sallyport' } as const }),
  };
  const files = readArchive(SHIPPED);
  const file = (name: string): Uint8Array => files.get(name) ?? new Uint8Array();
  // As the shipped bundle has it.
  const data = JSON.parse(Buffer.from(file('data.json')).toString()) as {
    catalog: { limits: object; routes: { name: string; limits: string[] }[] };
  };
  Object.assign(data.catalog.limits, CATALOG.limits);
  Object.assign(data.catalog, { overrides: CATALOG.overrides });
  for (const route of data.catalog.routes) {
    if (route.name === 'infer') route.limits = ['client-rps', 'country-rps', 'upload-bytes'];
  }
  data.catalog.routes.push({ name: 'shared', limits: ['endpoint-rps', 'client-rps'] });
  return await createJsEngineForTest({ config: { decisions } }).load({
    plan: file('plan.json'),
    wasm: file('policy.wasm'),
    data: Buffer.from(JSON.stringify(data)),
  });
}

/** One request, with the objects that the service would have made of it. */
interface Asked {
  readonly method: string;
  readonly inspected: Inspected;
  readonly principal: Principal | undefined;
  readonly peer: Peer | null;
}

const PEERS: readonly (Peer | null)[] = [null, null, null, { spiffeId: 'spiffe://mesh/pre-processor', dnsSans: [] }];

const TENANTS = ['tenant-a', 'tenant-b', 'tenant-A'];

function drawCallers(random: Random): readonly (Principal | undefined)[] {
  const callers: (Principal | undefined)[] = [undefined];
  for (let at = 0; at < 24; at += 1) {
    // Some of all draws are the usual, so that much is remembered and charged whatever the seed is.
    const usual = at % 3 === 1;
    const kind = usual ? 'jwt' : random.pick(['jwt', 'jwt', 'api_key', 'mtls'] as const);
    const principal: Principal = {
      kind,
      subject: kind === 'mtls' ? 'spiffe://mesh/pre-processor' : random.pick(['alice', 'alicf', 'bob']),
      issuer: 'https://issuer.test',
      ...(usual || random.chance(0.9) ? { tenant: usual ? 'tenant-a' : random.pick(TENANTS) } : {}),
      ...(usual || random.chance(0.9) ? { tier: random.pick(['free', 'premium', 'internal']) } : {}),
      roles: [],
      scopes: [],
      claims: {},
      ...(random.chance(0.5) ? { keyId: random.pick(['k-1', 'k-2']) } : {}),
      credentials: [],
      demo: false,
    };
    // Of credentials that are verified anew for each request nothing is remembered.
    callers.push(at % 8 === 0 ? principal : Object.freeze(principal));
  }
  return callers;
}

function drawRoutes(random: Random): readonly MatchedRoute[] {
  return Array.from({ length: 16 }, (_, at) => {
    const name = at % 3 === 1 ? 'infer' : random.pick(['infer', 'infer', 'shared', 'chat', 'chat-preflight', 'none']);
    const route: MatchedRoute = {
      name,
      tenant: random.pick(['tenant-a', 'tenant-b']),
      ...(random.chance(0.9) ? { model: random.pick(['llama-3-8b', 'mistral-7b', 'llama-3-8B']) } : {}),
      operation: random.pick(['infer', 'chat']),
      params: {},
      requiredLimits: [],
    };
    return random.chance(0.9) ? Object.freeze(route) : route;
  });
}

function draw(random: Random, callers: readonly (Principal | undefined)[], routes: readonly MatchedRoute[]): Asked {
  const size = random.chance(0.9)
    ? { known: true, bytes: random.pick([0, 2, 200]) }
    : { known: false, at_least: random.below(2) };
  const country = random.chance(0.9) ? { country: random.pick(['DE', 'FR']) } : {};
  const route = random.pick(routes);
  const inference = { estimated_prompt_tokens: random.below(3), max_tokens: random.below(3) };
  return {
    method: random.pick(['POST', 'POST', 'PUT', 'OPTIONS']),
    inspected: inspected({
      // One of the two kinds of sizes.
      size: size as Inspected['size'],
      route,
      network: { client_ip: random.pick(['192.0.2.1', '192.0.2.2', '2001:db8::1']), ...country },
      ...(route.name === 'chat' ? { inference } : {}),
    }),
    principal: random.pick(callers),
    peer: random.pick(PEERS),
  };
}

/** The answer, or why there is none. */
function answerOf(policy: LoadedPolicy, { method, inspected, principal, peer }: Asked, at: Instant): Evaluation {
  const request = accessRequest({ method });
  const mask = () => (value: unknown) => value as never;
  return policy.evaluate(LIMITS, toPolicyInput({ request, inspected, principal, peer, mask, quota: undefined }), at);
}

/** What is charged, as a caller whose object may change would be told: of him nothing is remembered. */
function plansOf(value: unknown, asked: Asked, principal = asked.principal): readonly ChargePlan[] | string {
  try {
    return parsePlans(value, { ...asked, principal });
  } catch (error) {
    return String(error);
  }
}

test('remembered limits are what a policy that remembers nothing says at that moment', {
  timeout: 120_000,
}, async () => {
  const random = createRandom(seedOf('remembered limits'));
  const [remembering, forgetting] = [await load(true), await load(false)];
  const callers = drawCallers(random);
  const routes = drawRoutes(random);
  const usual = Array.from({ length: 40 }, () => draw(random, callers, routes));
  const count = caseCount(20_000);
  const told = { hits: 0, charged: 0, overridden: 0 };
  const wrong: unknown[] = [];
  for (let nth = 0; nth < count; nth += 1) {
    const asked = random.chance(0.85) ? random.pick(usual) : draw(random, callers, routes);
    // To and fro over the ends of the overrides.
    const at = { epochMs: NOON + random.pick([0, 5, 6, 11]) * MINUTE - random.below(2), monotonicMs: nth };
    const answer = answerOf(remembering, asked, at);
    const alone = answerOf(forgetting, asked, at);
    const plans = JSON.stringify(plansOf(answer.value, asked));
    const { principal } = asked;
    const own = JSON.stringify(plansOf(structuredClone(alone.value), asked, principal && { ...principal }));
    if (JSON.stringify(answer.value) !== JSON.stringify(alone.value) || plans !== own) {
      wrong.push({ seed: random.seed, nth, asked, at, answer, alone, plans, own });
    }
    if (answer.steps === 0) told.hits += 1;
    if (alone.steps === 0) wrong.push({ remembered: asked });
    if (plans.startsWith('[') && plans.includes('"name"')) told.charged += 1;
    if (/"limit":7[789],/.test(plans)) told.overridden += 1;
  }
  console.info(`remembered limits: ${count} requests`, told);
  expect(wrong.slice(0, 3)).toEqual([]);
  // The first few of each kind are not.
  expect(told.hits).toBeGreaterThan(count / 20 - 300);
  expect(told.charged).toBeGreaterThan(count / 5);
  expect(told.overridden).toBeGreaterThan(count / 1_000);
});
