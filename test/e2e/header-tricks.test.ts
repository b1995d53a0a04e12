import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Allow } from '../../src/decision/decision.ts';
import type { Outcome } from '../../src/decision/ports.ts';
import { buildCatalogBundle, type CatalogData } from '../support/catalog-bundle.ts';
import { openTestDecider, type TestDecider } from '../support/decider.ts';
import { describeWith } from '../support/describe-with.ts';
import { type Base, chargesOf, DIMENSIONS, DOORS, type DoorName, favour, toRequest } from '../support/header-pairs.ts';
import { type HeaderPair, type HeaderTrick, headerTricks, randomHeaderTrick } from '../support/header-tricks.ts';
import type { PolicyBundle } from '../support/policy-bundle.ts';
import { createRawClient, type RawClient, rawRequest } from '../support/raw-http.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import { LISTENERS, ownedOnWire, startTenantGateway, type TenantGateway } from '../support/tenant-gateway.ts';
import type { Upstream } from '../support/upstream.ts';

const INFER = '/tenant-a/llama-3-8b/infer';
const CHAT_BODY = '{"model":"llama-3-8b","messages":[]}';
const OWN_A = { tenant: 'tenant-a', tier: 'free', roles: ['analyst'] };

function addEndpoints(catalog: CatalogData): void {
  const batch = [{ role: 'batch', upstream: 'tenant-a-llama-3-8b-batch' }];
  Object.assign(catalog.models['llama-3-8b'] ?? {}, { role_upstreams: { 'tenant-a': batch } });
  catalog['hosts'] = { 'tenant-a.test': 'tenant-a', 'tenant-b.test': 'tenant-b' };
}

const plain: Base = {
  name: 'infer',
  method: 'POST',
  path: INFER,
  host: 'gateway.test',
  claims: OWN_A,
  body: '{"x":1}',
};
const BASES: readonly Base[] = [
  plain,
  { ...plain, name: 'chat', path: '/v1/chat/completions', body: CHAT_BODY },
  { ...plain, name: 'a role with an upstream', claims: { ...OWN_A, roles: ['batch', 'analyst'] } },
  { ...plain, name: 'no role', claims: { ...OWN_A, roles: [] } },
  { ...plain, name: 'the tenant’s host', host: 'tenant-a.test' },
  { ...plain, name: 'another tenant’s host', host: 'tenant-b.test' },
  { ...plain, name: 'another tenant', path: '/tenant-b/llama-3-8b/infer' },
  { ...plain, name: 'a dearer model', path: '/tenant-a/mistral-7b/infer' },
  { ...plain, name: 'an unknown route', path: '/admin/keys' },
  { ...plain, name: 'an undeclared method', method: 'PUT' },
  { ...plain, name: 'too large a body', body: 'x'.repeat(66_000) },
  { ...plain, name: 'no credential', claims: undefined },
  { ...plain, name: 'an expired token', claims: { ...OWN_A, exp: 1 } },
  { ...plain, name: 'a token of no tenant', claims: { tier: 'free' } },
  { ...plain, name: 'tenant-b’s own', path: '/tenant-b/llama-3-8b/infer', claims: { ...OWN_A, tenant: 'tenant-b' } },
];

/** SECURITY row 7, in process: each pair is one request with and without the trick, through the readers of both doors. */
describeWith(['opa'], 'header tricks, decided by the whole service', () => {
  let bundle: PolicyBundle;
  /** By the number of trusted hops. */
  const deciders: TestDecider[] = [];
  const tokens = new Map<string, string>();

  beforeAll(async () => {
    bundle = await buildCatalogBundle(addEndpoints);
    const issued = await openTestDecider({ bundleFile: bundle.file });
    deciders.push(
      issued,
      await openTestDecider({ bundleFile: bundle.file, sections: { network: { trusted_hops: 1 } } }),
    );
    for (const [hops, decider] of deciders.entries()) {
      for (const base of BASES) {
        if (base.claims !== undefined) tokens.set(`${hops} ${base.name}`, await decider.issuer.mint(base.claims));
      }
    }
  });

  afterAll(async () => {
    for (const decider of deciders) await decider.close();
    bundle?.remove();
  });

  const decide = async (hops: number, base: Base, door: DoorName, trick: HeaderTrick): Promise<Outcome> => {
    const token = tokens.get(`${hops} ${base.name}`);
    const decider = deciders[hops];
    if (decider === undefined) throw new Error('no decider');
    return decider.authorize(toRequest(base, token, door, trick));
  };

  const compare = async (hops: number, base: Base, door: DoorName, trick: HeaderTrick): Promise<Comparison> => {
    const without = await decide(hops, base, door, []);
    const withTrick = await decide(hops, base, door, trick);
    const fault = favour(without, withTrick);
    const described = `${base.name}, ${door}, ${hops} hops, ${JSON.stringify(trick)}: ${fault}`;
    return { allowed: Allow.is(withTrick.decision), fault: fault === undefined ? undefined : described };
  };

  const runAll = async (cases: Iterable<Readonly<Parameters<typeof compare>>>): Promise<string> => {
    const faults: string[] = [];
    let pairs = 0;
    let allowed = 0;
    for (const one of cases) {
      const compared = await compare(...one);
      pairs += 1;
      if (compared.allowed) allowed += 1;
      if (compared.fault !== undefined) faults.push(compared.fault);
    }
    expect(faults).toEqual([]);
    expect(allowed).toBeGreaterThan(pairs / 20);
    return `${pairs} pairs, ${allowed} allowed with the trick, ${faults.length} in the caller’s favour`;
  };

  test('the requests without tricks are decided as wanted', async () => {
    const allowed = BASES.filter(({ name }) =>
      ['infer', 'chat', 'a role with an upstream', 'no role', 'the tenant’s host', 'tenant-b’s own'].includes(name),
    );
    for (const base of BASES) {
      for (const door of DOORS) {
        const { decision } = await decide(0, base, door, []);
        expect([base.name, door, Allow.is(decision)]).toEqual([base.name, door, allowed.includes(base)]);
      }
    }
    // Most dimensions have a value to compare; a token has no key, and its bearer here no certificate.
    const charged = chargesOf(await decide(0, plain, 'grpc', [])).filter((charge) => typeof charge !== 'string');
    expect(charged).toHaveLength(DIMENSIONS.length - 2);
  });

  test('each known trick changes nothing, or denies', async () => {
    const random = createRandom(seedOf('header-tricks'));
    // Each trick at every door and number of hops; the request it is played on is drawn.
    const cases = headerTricks().flatMap((trick) =>
      DOORS.flatMap((door) => [0, 1].map((hops) => [hops, drawBase(random), door, trick] as const)),
    );
    console.info(`known header tricks: ${await runAll(cases)}`);
  });

  test('random mixtures of tricks change nothing, or deny', async () => {
    const random = createRandom(seedOf('random header tricks'));
    const cases = Array.from(
      { length: caseCount(5_000) },
      () => [random.below(2), drawBase(random), random.pick(DOORS), randomHeaderTrick(random)] as const,
    );
    console.info(`random header tricks: ${await runAll(cases)}`);
  });
});

/** SECURITY row 7 on the wire: the upstream's own account of what arrived, and which upstream it was. */
describeWith(['opa', 'envoy'], 'header tricks through a real Envoy', () => {
  let gateway: TenantGateway;
  const clients = new Map<string, RawClient>();
  let token: string;

  beforeAll(async () => {
    gateway = await startTenantGateway();
    for (const name of LISTENERS) clients.set(name, createRawClient(gateway.envoy.port(name), 6));
    token = await gateway.issuer.mint(OWN_A);
  });

  afterAll(async () => {
    for (const client of clients.values()) client.close();
    await gateway?.stop();
  });

  const send = async (listener: string, id: string, trick: HeaderTrick, path = INFER): Promise<number> => {
    const headers: HeaderPair[] = [
      ['host', 'gateway.test'],
      ['content-type', 'application/json'],
      ['authorization', `Bearer ${token}`],
      ['x-case', id],
      ...trick,
    ];
    return (await clients.get(listener)?.send(rawRequest('POST', path, headers, '{"x":1}')))?.status ?? 0;
  };

  test('no trick changes the upstream, or what it is told of tenant, role and endpoint', async () => {
    const upstream = gateway.upstreams.get('tenant-a');
    const tricks = headerTricks();
    const faults: string[] = [];
    const statuses = new Map<number, number>();
    for (const listener of LISTENERS) {
      for (const one of gateway.upstreams.values()) one.reset();
      expect(await send(listener, 'plain', [])).toBe(200);
      const told = tellings(upstream).get('plain');
      expect(told).toEqual({
        'x-sallyport-tenant': ['tenant-a'],
        'x-sallyport-role': ['analyst'],
        'x-sallyport-upstream': ['tenant-a-llama-3-8b'],
        'x-sallyport-decision-id': [expect.any(String)],
      });
      await Promise.all(
        tricks.map(async (trick, at) => {
          const status = await send(listener, String(at), trick);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }),
      );
      for (const [id, arrived] of tellings(upstream)) {
        const one = arrived['x-sallyport-decision-id'] ?? [];
        const same = { ...told, 'x-sallyport-decision-id': one };
        const isForged = one.length !== 1 || one[0] === '' || OWN_FORGERIES.has(one[0] ?? '');
        if (isForged || !isDeepStrictEqual(arrived, same)) {
          faults.push(`${listener}, ${JSON.stringify(tricks[Number(id)])}: ${JSON.stringify(arrived)}`);
        }
      }
      expect(gateway.upstreams.get('tenant-b')?.count()).toBe(0);
    }
    const answers = [...statuses].map(([status, count]) => `${status}: ${count}`).join(', ');
    const pairs = tricks.length * LISTENERS.length;
    console.info(`header tricks through Envoy: ${pairs} pairs, ${faults.length} faults; answers: ${answers}`);
    expect(faults).toEqual([]);
    expect(pairs).toBeGreaterThanOrEqual(200);
    expect(statuses.get(200)).toBeGreaterThan(pairs / 2);
  });

  test('no trick opens what is denied without it', async () => {
    for (const one of gateway.upstreams.values()) one.reset();
    const denied = ['/tenant-b/llama-3-8b/infer', '/tenant-a/mistral-7b/infer', '/admin/keys'];
    const random = createRandom(seedOf('header tricks on denied requests'));
    const tricks = headerTricks();
    const asked = LISTENERS.flatMap((listener) =>
      tricks.map((trick) => [listener, trick, random.pick(denied)] as const),
    );
    const statuses = await Promise.all(asked.map(([listener, trick, path]) => send(listener, 'denied', trick, path)));
    const opened = asked.filter((_, at) => statuses[at] === 200);
    const reached = [...gateway.upstreams.values()].reduce((sum, one) => sum + one.count(), 0);
    console.info(`header tricks on denied requests: ${asked.length}, ${reached} at an upstream`);
    expect(opened).toEqual([]);
    expect(reached).toBe(0);
  });
});

const OWN_FORGERIES: ReadonlySet<string> = new Set(headerTricks().flatMap((trick) => trick.map(([, value]) => value)));

/** By the request's own id, what an upstream was told in the headers that Sallyport owns, and their twins. */
function tellings(upstream: Upstream | undefined): ReadonlyMap<string, ReturnType<typeof ownedOnWire>> {
  return new Map(
    (upstream?.seen ?? []).map(({ headers, rawHeaders }) => [String(headers['x-case']), ownedOnWire(rawHeaders)]),
  );
}

interface Comparison {
  readonly allowed: boolean;
  readonly fault: string | undefined;
}

/** Half of them on requests that are allowed without: the other half could only be denied again. */
function drawBase(random: Random): Base {
  return random.chance(0.5) ? random.pick(BASES.slice(0, 5)) : random.pick(BASES);
}
