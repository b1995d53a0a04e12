import { buildCatalogBundle } from '../support/catalog-bundle.ts';
import { createTestIssuer } from '../support/tokens.ts';
import type { ValkeyServer } from '../support/valkey.ts';
import { benchClaims, GRPC_HEADERS, toGrpcCall } from './calls.ts';
import { meanOf, medianAdded } from './figures.ts';
import { CONCURRENCY, type Figures, measureLoad, type Row, type RowTools } from './row.ts';
import { startMeasuredService, startTask, writeBytes } from './servers.ts';
import { quotaOnRedis, startedValkey } from './valkey.ts';

export type LimitRowName = 'check_two_limits_memory' | 'check_two_limits_redis' | 'rego_two_limits';

const TWO_LIMITS = ['client-rps', 'tenant-rps'] as const;
/** Of an infer call each; only the first of these routes requires limits. */
const PATHS = { limited: '/tenant-a/llama-3-8b/limited', unlimited: '/tenant-a/llama-3-8b/unlimited' } as const;
/** Load goes to the two routes in turns, so that what else the machine does weighs on both alike. */
const PAIRS = 20;
const CALLS = 40_000;

/**
 * What two limits add to a Check: calls to a route that requires two, and to one that requires none, of one service.
 * `cpu_us` is of the former, `unlimited_cpu_us` of the latter, as means; `added_cpu_us` is the median of what the pairs
 * differ by. In the difference of the means one full collection, or one moment of somebody else on the machine, weighs
 * more than two limits do.
 */
export function createLimitRows(tools: RowTools): Readonly<Record<LimitRowName, () => Promise<Row>>> {
  const { folder, count, load, started } = tools;
  let bundle: Promise<string> | undefined;
  const bundleFile = (): Promise<string> => {
    bundle ??= started(buildTwoLimits()).then(({ file }) => file);
    return bundle;
  };

  async function twoLimits(name: string, valkey: ValkeyServer | undefined): Promise<Row> {
    const issuer = await createTestIssuer({ algorithm: 'RS256' });
    const token = await issuer.mint(benchClaims());
    const limited = await writeBytes(folder, `${name}-limited`, [toGrpcCall(token, PATHS.limited)]);
    const unlimited = await writeBytes(folder, `${name}-unlimited`, [toGrpcCall(token, PATHS.unlimited)]);
    const quota = valkey === undefined ? {} : quotaOnRedis(valkey.url);
    const server = await started(
      startMeasuredService(folder, issuer, { bundleFile: await bundleFile(), sections: { quota } }),
    );
    const redis = valkey === undefined ? {} : { redisPid: valkey.program().pid };
    const calls = Math.round(count(CALLS) / PAIRS);
    const measure = (bodiesFile: string): Promise<Figures> =>
      measureLoad(
        load,
        { pid: server.pid, ...redis },
        {
          kind: 'http2',
          port: server.port('ext_authz_grpc'),
          headers: GRPC_HEADERS,
          bodiesFile,
          count: calls,
          concurrency: CONCURRENCY,
          wanted: 'allow',
        },
      );
    return {
      measure: async () => {
        const pairs: Figures[] = [];
        for (let pair = 0; pair < PAIRS; pair += 1) {
          const first = isLimitedFirst(pair) ? await measure(limited) : undefined;
          const { cpu_us: unlimitedUs = Number.NaN } = await measure(unlimited);
          pairs.push({ ...(first ?? (await measure(limited))), unlimited_cpu_us: unlimitedUs });
        }
        return { ...meanOf(pairs), added_cpu_us: medianAdded(pairs, 'cpu_us', 'unlimited_cpu_us') };
      },
    };
  }

  return {
    check_two_limits_memory: () => twoLimits('memory', undefined),
    check_two_limits_redis: async () => twoLimits('redis', await startedValkey(tools)),
    rego_two_limits: async () => {
      const task = await started(startTask('limits-evaluation.ts', [await bundleFile()]));
      return { measure: () => task.run({ evaluations: count(6_000) }) };
    },
  };
}

async function buildTwoLimits(): Promise<{ readonly file: string; stop(): Promise<void> }> {
  const bundle = await buildCatalogBundle((catalog) => {
    const size = 1_000_000_000;
    const terms = { unit: 'requests', kind: 'rate', per_seconds: 1, cost: 'request', size };
    catalog['limits'] = {
      'client-rps': { ...terms, key: ['principal', 'method'], scope: 'tenant' },
      'tenant-rps': { ...terms, key: ['tenant'], scope: 'tenant' },
    };
    const route = { methods: ['POST'], operation: 'infer', body: 'none', max_bytes: 8_388_608 };
    catalog.routes = [
      { ...route, name: 'limited', path: '/{tenant}/{model}/limited', limits: TWO_LIMITS },
      { ...route, name: 'unlimited', path: '/{tenant}/{model}/unlimited', limits: [] },
    ];
  });
  return { file: bundle.file, stop: async () => bundle.remove() };
}

/** As often as not, and with no period (Thue and Morse's): full collections have one, and would fall on one side. */
function isLimitedFirst(pair: number): boolean {
  return pair.toString(2).replaceAll('0', '').length % 2 === 0;
}
