import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportUsage } from '../../../src/quota/ledger/ledger-export.ts';
import type { TenantBucket } from '../../../src/quota/tenant-buckets.ts';
import type { CatalogData } from '../../support/catalog-bundle.ts';
import { type Answer, ask } from '../../support/http-client.ts';
import { eventually } from '../../support/programs.ts';
import { digestOf, openScenario } from '../../support/scenario.ts';
import { type Service, startService } from '../../support/service.ts';
import { createTestIssuer } from '../../support/tokens.ts';
import { startValkey } from '../../support/valkey.ts';

const SCENARIO = openScenario('token-budget');
const METERING_TOKEN = 'metering-token-of-this-test';

export const REPLICAS = ['a', 'b'] as const;
export type Replica = (typeof REPLICAS)[number];

/** Nano-USD for a million tokens, as in the catalog. */
const PRICES = {
  large: { input: 3_000_000_000n, cached: 300_000_000n, output: 15_000_000_000n },
  small: { input: 150_000_007n, cached: 75_000_000n, output: 600_000_001n },
} as const;
export type Model = keyof typeof PRICES;

/** Tokens that were read anew, read from a cache, and produced. */
export interface Used {
  readonly input: number;
  readonly cached: number;
  readonly output: number;
}

/** An answer of the operations port, which is not for clients and says more than theirs. */
export interface Operated {
  readonly status: number;
  readonly body: string;
}

export interface Standing {
  readonly remaining: number;
  readonly held: number;
}

/** A row of the export. */
export interface Row {
  readonly tenant: string;
  readonly model: string;
  readonly day: string;
  readonly settled: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly charges: Readonly<Record<string, number>>;
}

/** Two replicas of Sallyport that count in one Valkey, each with a ledger of its own. */
export interface StartedReplicas {
  /** What a gateway asks before it sends a call on. */
  readonly take: (replica: Replica, tenant: string, maxTokens: number, model?: Model) => Promise<Answer>;
  /** The same for a call that must pass; answers the reservation. */
  readonly reserve: (replica: Replica, tenant: string, maxTokens: number, model?: Model) => Promise<string>;
  readonly settle: (replica: Replica, id: string, used: Used) => Promise<Operated>;
  /** A `POST` where there is a body, else a `GET`. */
  readonly operate: (replica: Replica, path: string, body?: object, token?: string) => Promise<Operated>;
  /** What is left and held of each limit of a tenant from which this replica took. */
  readonly standing: (replica: Replica, tenant: string) => Promise<Readonly<Record<string, Standing>>>;
  /** Ends a replica and starts it with another bundle: the catalog's own, or one of ten times its prices. */
  readonly restart: (replica: Replica, prices: 'own' | 'tenfold') => Promise<void>;
  /** By tenant, model and day, out of both ledgers. */
  readonly exported: () => Promise<readonly Row[]>;
  readonly stop: () => Promise<void>;
}

/** `tenants` are added to those of the catalog, so that tests do not count in one another's budgets. */
export async function startReplicas(tenants: readonly string[]): Promise<StartedReplicas> {
  const stops: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-budget-'));
    stops.push(() => rmSync(folder, { recursive: true, force: true }));
    const issuer = await createTestIssuer({ issuer: 'https://login.example.test', audience: 'inference' });
    await issuer.writeJwks(join(folder, 'jwks.json'));
    const valkey = await startValkey();
    stops.push(() => valkey.remove());
    const bundles = {
      own: await SCENARIO.buildBundle((catalog) => addTenants(catalog, tenants)),
      tenfold: await SCENARIO.buildBundle((catalog) => {
        addTenants(catalog, tenants);
        catalog['prices'] = { large: tenfold('large'), small: tenfold('small') };
      }),
    };
    stops.push(() => {
      for (const bundle of Object.values(bundles)) bundle.remove();
    });
    const services = new Map<Replica, Service>();
    const start = async (replica: Replica, prices: 'own' | 'tenfold'): Promise<void> => {
      const { file } = bundles[prices];
      const service = await startService({
        config: SCENARIO.config({
          'file: budget.tar.gz': `file: ${file}`,
          'file: jwks.json': `file: ${join(folder, 'jwks.json')}`,
          'redis://127.0.0.1:6379': valkey.url,
          // Tests share few cores: an answer that is late is another test's matter.
          'deadline_ms: 150': 'deadline_ms: 2000',
          'deadline_ms: 50': 'deadline_ms: 1000',
          'data_dir: usage': `data_dir: ${join(folder, replica)}`,
        }),
        env: {
          BUNDLE_SHA256: digestOf(file),
          METERING_SHA256: createHash('sha256').update(METERING_TOKEN).digest('hex'),
        },
      });
      services.set(replica, service);
    };
    stops.push(() => Promise.all([...services.values()].map((service) => service.stop())));
    for (const replica of REPLICAS) await start(replica, 'own');

    const portOf = (replica: Replica, door: string): number => services.get(replica)?.port(door) ?? 0;
    const take: StartedReplicas['take'] = async (replica, tenant, maxTokens, model = 'large') => {
      const messages = [{ role: 'user', content: 'Name three rivers.' }];
      return ask(portOf(replica, 'ext_authz_http'), {
        method: 'POST',
        path: '/ext-authz/v1/chat/completions',
        headers: {
          authorization: `Bearer ${await issuer.mint({ sub: 'alice', tenant, tier: 'business' })}`,
          'content-type': 'application/json',
          // As Envoy says that the body is there whole.
          'x-envoy-auth-partial-body': 'false',
        },
        body: JSON.stringify({ model, max_tokens: maxTokens, messages }),
      });
    };
    const operate: StartedReplicas['operate'] = async (replica, path, body, token = METERING_TOKEN) => {
      const answer = await fetch(`http://127.0.0.1:${portOf(replica, 'operations')}${path}`, {
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      });
      return { status: answer.status, body: await answer.text() };
    };
    // A new fleet waits two seconds for a replica that knows of other counts.
    const [first = 'acme'] = tenants;
    for (const replica of REPLICAS) {
      await eventually(async () => ((await take(replica, first, 1)).status === 200 ? true : undefined));
    }
    return {
      take,
      operate,
      reserve: async (...what) => {
        const { status, headers, body } = await take(...what);
        if (status !== 200) throw new Error(`the call was answered ${status}: ${body}`);
        return String(headers['x-sallyport-reservation-id']);
      },
      settle: (replica, id, used) => operate(replica, '/v1/usage', { reservation_id: id, usage: toUsage(used) }),
      standing: async (replica, tenant) => {
        const { status, body } = await operate(replica, `/v1/quota?tenant=${tenant}`);
        if (status !== 200) throw new Error(`the quota was answered ${status}: ${body}`);
        const { limits } = JSON.parse(body) as { limits: readonly TenantBucket[] };
        return Object.fromEntries(limits.map(({ name, state: { remaining, held } }) => [name, { remaining, held }]));
      },
      restart: async (replica, prices) => {
        await services.get(replica)?.stop();
        await start(replica, prices);
      },
      exported: async () => {
        const folders = REPLICAS.map((name) => join(folder, name, 'ledger'));
        let text = '';
        for await (const piece of exportUsage({ folders, format: 'json', by: ['tenant', 'model', 'day'] }))
          text += piece;
        return JSON.parse(text) as Row[];
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** As OpenAI's API tells it, where the cached ones are part of the prompt. */
export function toUsage({ input, cached, output }: Used): object {
  return {
    prompt_tokens: input + cached,
    completion_tokens: output,
    total_tokens: input + cached + output,
    prompt_tokens_details: { cached_tokens: cached },
  };
}

/** In nano-USD, rounded up once. */
export function costOf(model: Model, { input, cached, output }: Used): bigint {
  const price = PRICES[model];
  const parts = BigInt(input) * price.input + BigInt(cached) * price.cached + BigInt(output) * price.output;
  return (parts + 999_999n) / 1_000_000n;
}

function addTenants(catalog: CatalogData, tenants: readonly string[]): void {
  for (const tenant of tenants) {
    catalog.tenants[tenant] = { tiers: ['business'], open_to_tiers: [] };
    for (const [name, model] of Object.entries(catalog.models)) {
      model['upstreams'] = { ...(model['upstreams'] as object), [tenant]: name };
    }
  }
}

function tenfold(model: Model): object {
  return Object.fromEntries(Object.entries(PRICES[model]).map(([key, price]) => [key, Number(price) * 10]));
}
