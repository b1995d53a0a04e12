import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/describe-with.ts';
import { type HeaderPair, randomHeaderTrick } from '../support/header-tricks.ts';
import { randomPathVariant } from '../support/path-variants.ts';
import { createRawClient, type RawClient, rawRequest } from '../support/raw-http.ts';
import { caseCount, createRandom, type Random, seedOf } from '../support/seed.ts';
import {
  ENDPOINTS,
  LISTENERS,
  ownedOnWire,
  startTenantGateway,
  TENANTS,
  type TenantGateway,
  UNSAFE_LISTENER,
} from '../support/tenant-gateway.ts';

/** Requests between two looks at the upstreams' logs, which hold this many. */
const BATCH = 2_000;
const CLUSTERS = TENANTS.flatMap((tenant) => ENDPOINTS.map((endpoint) => `${tenant}-${endpoint}`));
const HOSTS = ['gateway.test', 'tenant-a.test', 'tenant-b.test', 'Tenant-B.Test:8080', 'tenant-a.test.', 'a.b.test'];

interface Caller {
  /** Absent for nobody that is known. */
  readonly tenant?: (typeof TENANTS)[number];
  readonly roles: readonly string[];
  readonly token?: string;
}

interface Shot {
  readonly caller: Caller;
  readonly path: string;
  readonly host: string;
  readonly forged: readonly HeaderPair[];
}

/** SECURITY row 30: what arrived is told by the upstreams themselves. */
describeWith(['opa', 'envoy'], 'two tenants behind one real Envoy', () => {
  let gateway: TenantGateway;
  const clients: RawClient[] = [];
  const callers: Caller[] = [];

  beforeAll(async () => {
    gateway = await startTenantGateway();
    for (const name of LISTENERS) clients.push(createRawClient(gateway.envoy.port(name), 6));
    for (const tenant of TENANTS) {
      for (const roles of [[], ['analyst'], ['batch']]) {
        for (const tier of ['free', 'internal']) {
          callers.push({ tenant, roles, token: await gateway.issuer.mint({ tenant, tier, roles }) });
        }
      }
    }
    const token = await gateway.issuer.mint({ tenant: 'tenant-a', tier: 'free' });
    callers.push({ roles: [] }, { roles: [], token: `${token.slice(0, -6)}AAAAAA` });
  });

  afterAll(async () => {
    for (const client of clients) client.close();
    await gateway?.stop();
  });

  const fire = async (client: RawClient, id: number, { caller, path, host, forged }: Shot): Promise<number> => {
    const headers: HeaderPair[] = [
      ['host', host],
      ['content-type', 'application/json'],
      ['x-case', String(id)],
      ...(caller.token === undefined ? [] : ([['authorization', `Bearer ${caller.token}`]] as const)),
      ...forged,
    ];
    return (await client.send(rawRequest('POST', path, headers, '{"model":"llama-3-8b","messages":[]}'))).status;
  };

  /** What is wrong with what the upstreams got; each request is held against the credential that it came with. */
  const crossings = (shots: ReadonlyMap<string, Shot>): readonly string[] =>
    TENANTS.flatMap((tenant) =>
      (gateway.upstreams.get(tenant)?.seen ?? []).flatMap(({ path, headers, rawHeaders }) => {
        const shot = shots.get(String(headers['x-case']));
        const fault = faultOf(tenant, shot, rawHeaders, headers.host ?? '');
        return fault === undefined ? [] : [`${fault}: ${path} ${JSON.stringify({ shot, rawHeaders })}`];
      }),
    );

  test('each tenant reaches its own endpoints, by path, by token and by role', async () => {
    for (const upstream of gateway.upstreams.values()) upstream.reset();
    const shots = new Map<string, Shot>();
    let id = 0;
    for (const client of clients) {
      for (const caller of callers) {
        for (const path of [`/${caller.tenant ?? 'tenant-a'}/llama-3-8b/infer`, '/v1/chat/completions']) {
          const shot = { caller, path, host: `${caller.tenant ?? 'tenant-a'}.test`, forged: [] };
          id += 1;
          shots.set(String(id), shot);
          expect(await fire(client, id, shot)).toBe(caller.tenant === undefined ? 401 : 200);
        }
      }
    }
    expect(crossings(shots)).toEqual([]);
    for (const tenant of TENANTS) {
      const endpoints = gateway.upstreams.get(tenant)?.seen.map(({ headers }) => headers['x-sallyport-upstream']);
      expect(new Set(endpoints)).toEqual(new Set([`${tenant}-llama-3-8b`, `${tenant}-llama-3-8b-batch`]));
    }
  });

  test('no request of one tenant is ever sent to another’s upstream', async () => {
    const random = createRandom(seedOf('tenant-integrity'));
    const count = caseCount(10_000);
    const found: string[] = [];
    const statuses = new Map<number, number>();
    let arrived = 0;
    for (let done = 0; done < count; done += BATCH) {
      for (const upstream of gateway.upstreams.values()) upstream.reset();
      const shots = new Map<string, Shot>();
      await Promise.all(
        Array.from({ length: Math.min(BATCH, count - done) }, async (_, at) => {
          const shot = drawShot(random, callers);
          shots.set(String(at), shot);
          const status = await fire(random.pick(clients), at, shot);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }),
      );
      found.push(...crossings(shots));
      for (const upstream of gateway.upstreams.values()) arrived += upstream.count();
    }
    const answers = [...statuses].map(([status, number]) => `${status}: ${number}`).join(', ');
    console.info(
      `tenant integrity: ${count} requests, ${arrived} arrived, ${found.length} crossings; answers: ${answers}`,
    );
    expect(found).toEqual([]);
    expect(arrived).toBeGreaterThan(count / 20);
  });

  test('a gateway that keeps the route of the client’s header is seen to cross', async () => {
    for (const upstream of gateway.upstreams.values()) upstream.reset();
    const random = createRandom(seedOf('unsafe gateway'));
    const client = createRawClient(gateway.envoy.port(UNSAFE_LISTENER), 6);
    const shots = new Map(Array.from({ length: 300 }, (_, at) => [String(at), drawShot(random, callers)] as const));
    await Promise.all([...shots].map(([id, shot]) => fire(client, Number(id), shot)));
    client.close();
    expect(crossings(shots).length).toBeGreaterThan(10);
  });
});

function faultOf(
  tenant: (typeof TENANTS)[number],
  shot: Shot | undefined,
  rawHeaders: readonly string[],
  host: string,
): string | undefined {
  if (shot === undefined) return 'a request that nobody sent';
  const { caller } = shot;
  if (caller.tenant !== tenant) return `a request of \`${caller.tenant}\` arrived at \`${tenant}\``;
  const other = TENANTS.find((one) => one !== tenant) ?? '';
  if (host.toLowerCase().startsWith(`${other}.test`)) return `the host names \`${other}\``;
  const owned = ownedOnWire(rawHeaders);
  for (const [name, values] of Object.entries(owned))
    if (values.length !== 1) return `\`${name}\` arrived more than once`;
  if (owned['x-sallyport-tenant']?.[0] !== tenant) return 'it is told another tenant';
  if (owned['x-sallyport-role']?.[0] !== (caller.roles.length === 0 ? undefined : caller.roles.join(','))) {
    return 'it is told another role';
  }
  const endpoint = owned['x-sallyport-upstream']?.[0] ?? '';
  if (!endpoint.startsWith(`${tenant}-`)) return 'it is told another’s endpoint';
  const isBatch = endpoint.endsWith('-batch');
  return isBatch && !caller.roles.includes('batch') ? 'the endpoint is another role’s' : undefined;
}

/** Any caller, at any path and host, with headers that would route him elsewhere. */
function drawShot(random: Random, callers: readonly Caller[]): Shot {
  const caller = random.pick(callers);
  const model = random.pick(['llama-3-8b', 'llama-3-8b', 'mistral-7b', 'llama-3-8b-batch']);
  const path = random.chance(0.15)
    ? randomPathVariant(random)
    : random.chance(0.2)
      ? '/v1/chat/completions'
      : `/${random.chance(0.6) ? (caller.tenant ?? 'tenant-a') : random.pick(TENANTS)}/${model}/infer`;
  const absolute = random.chance(0.05) ? `http://${random.pick(HOSTS)}` : '';
  return {
    caller,
    path: `${absolute}${path}${random.chance(0.1) ? '?tenant=tenant-b&x-sallyport-upstream=tenant-b-llama-3-8b' : ''}`,
    host: random.chance(0.6) ? 'gateway.test' : random.pick(HOSTS),
    forged: [
      ...(random.chance(0.7) ? [['x-sallyport-upstream', random.pick(CLUSTERS)] as const] : []),
      ...(random.chance(0.5) ? [['x-sallyport-tenant', random.pick(TENANTS)] as const] : []),
      ...(random.chance(0.3) ? [['x-sallyport-role', 'batch'] as const] : []),
      ...(random.chance(0.2) ? [['X-Sallyport-Upstream', random.pick(CLUSTERS)] as const] : []),
      ...(random.chance(0.2) ? [['x_sallyport_upstream', random.pick(CLUSTERS)] as const] : []),
      ...(random.chance(0.03) ? [['host', random.pick(HOSTS)] as const] : []),
      ...(random.chance(0.3) ? randomHeaderTrick(random) : []),
    ],
  };
}
