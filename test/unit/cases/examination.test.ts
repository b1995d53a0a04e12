import { expect, test } from 'vitest';
import { parseBundle } from '../../../src/bundle/bundle.ts';
import { createExamine, type ExamineParts } from '../../../src/examine.ts';
import { startSystemTimer } from '../../support/system-ports.ts';
import { ENDLESS_MODULE, filesOf, repacked, SHIPPED } from '../bundle/shipped.ts';

const config: ExamineParts['config'] = {
  network: { trusted_hops: 0 },
  compatibility: { ambiguous_paths: false, duplicate_keys: false, header_map_bodies: true, expose_credentials: false },
  policy: {
    engine: 'wasm',
    budget_ms: 5,
    tenant_share: 0.25,
    memory_max_mb: 64,
    redirects: false,
    decisions: { default: { decision: 'authz/decision', limits: 'authz/limits', result: 'sallyport' } },
  },
};

async function verdict(members: Readonly<Record<string, string | Uint8Array>>, timeoutMs = 20_000): Promise<string> {
  const examine = createExamine({
    config,
    timeoutMs,
    memoryMb: 256,
    startTimer: startSystemTimer,
    logger: { info: () => {} },
  });
  const bundle = parseBundle('authz', repacked(members));
  return examine([bundle], new AbortController().signal).then(
    () => 'passed',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

test('a module that never ends is refused in time, and this thread goes on', async () => {
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 10);
  expect(await verdict({ 'policy.wasm': ENDLESS_MODULE }, 1_000)).toContain('its trial took longer than 1000 ms');
  clearInterval(timer);
  expect(turns).toBeGreaterThan(10);
});

test.each<[string, Readonly<Record<string, string | Uint8Array>>]>([
  ['something else', { 'policy.wasm': Buffer.from('0061736d01000000', 'hex') }],
  ['no module after its first bytes', { 'policy.wasm': Buffer.from('0061736d01000000ff', 'hex') }],
])('a bundle with %s as its module is refused', async (_what, members) => {
  expect(await verdict(members)).not.toBe('passed');
});

test('a bundle whose plan and module do not agree on the entrypoints is refused', async () => {
  const plan = filesOf(SHIPPED).get('plan.json');
  const renamed = Buffer.from(plan ?? [])
    .toString()
    .replace('"name":"authz/limits"', '"name":"authz/limit"');
  expect(await verdict({ 'plan.json': renamed })).toContain('`plan.json` has the entrypoints');
});

test.each<[string, unknown]>([
  ['a name of megabytes', [{ name: 'x'.repeat(2 ** 21), request: { path: '/' }, expect: { decision: 'allow' } }]],
  ['a key of megabytes', [{ name: 'one', ['x'.repeat(2 ** 21)]: 1 }]],
  ['more cases than anybody writes', Array(200_000).fill(1)],
])('cases with %s are refused in few words', async (_what, cases) => {
  const words = await verdict({ 'cases.json': JSON.stringify(cases) });
  expect(words).toContain('cases.json of bundle `authz`');
  expect(words.length).toBeLessThanOrEqual(1_024);
});
