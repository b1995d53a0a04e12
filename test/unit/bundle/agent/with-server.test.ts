import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { type Activator, createActivator } from '../../../../src/bundle/activator.ts';
import { createStatusReporter } from '../../../../src/bundle/agent/status-reporter.ts';
import { DEFAULT_POLLING } from '../../../../src/bundle/config-sources.ts';
import { toWatchedBundles } from '../../../../src/bundle/watch.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { startSystemTimer } from '../../../support/system-ports.ts';
import {
  NOW_S,
  newSigner,
  type OpenServer,
  openServer,
  orderFor,
  release,
  TOKENS,
} from '../../bundle-server/server-support.ts';
import { until } from './fleet-of-one.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const clock = { now: () => ({ epochMs: NOW_S * 1000, monotonicMs: performance.now() }) };
const signer = newSigner('k1');

function agentFor({ port }: OpenServer) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-agent-'));
  const token = join(folder, 'token');
  const key = join(folder, 'k1.pem');
  writeFileSync(token, TOKENS.read);
  writeFileSync(key, signer.publicPem);
  const url = `http://127.0.0.1:${port}/v1/bundles/authz`;
  const inForce: string[] = [];
  const staged: string[] = [];
  const bundle = {
    url,
    credentials: { bearer_token_file: token },
    polling: { ...DEFAULT_POLLING, long_poll_seconds: 30 },
    trust: { keys: { k1: key }, scope: 'prod' },
    orders: { url: `${url}/orders` },
  };
  const activator: Activator = createActivator({
    ...toWatchedBundles({ authz: bundle }, { data_dir: join(folder, 'data') }, { clock, startTimer: startSystemTimer }),
    entrypoints: ['authz/decision'],
    activate: (bundles) => void inForce.push(bundles.map(({ revision }) => revision).join('+')),
    stage: async (set, order) => void staged.push(`${set?.revision ?? 'none'} by ${order?.version ?? 'nobody'}`),
    clock,
    startTimer: startSystemTimer,
    random: Math.random,
    logger: { info: () => {}, warn: () => {} },
    metrics: {
      bundleActivated: () => {},
      bundleRefused: () => {},
      bundleCopyFailed: () => {},
      trackBundleAges: () => {},
    },
  });
  closing.push(async () => {
    await activator.stop();
    rmSync(folder, { recursive: true });
  });
  return { activator, inForce, staged };
}

it('an agent follows the bundle server: publish, promote, canary, end, and its status arrives', async () => {
  const server = await openServer({
    keys: { k1: signer.publicPem },
    clock: createManualClock({ epochMs: NOW_S * 1000 }),
  });
  closing.push(() => server.stop());
  const [first, second, third] = [release(signer, 1), release(signer, 2), release(signer, 3)];
  for (const one of [first, second, third]) expect((await server.publish(one)).status).toBeLessThan(300);
  expect((await server.promote(first.sha256)).status).toBeLessThan(300);

  const { activator, inForce, staged } = agentFor(server);
  await activator.start();
  await until(() => inForce.length === 1);
  const promotedMs = performance.now();
  expect((await server.promote(second.sha256)).status).toBeLessThan(300);
  await until(() => inForce.length === 2);
  const tookMs = performance.now() - promotedMs;
  expect(inForce).toEqual(['r1', 'r2']);
  expect(tookMs).toBeLessThan(3_000);

  expect((await server.order(orderFor(signer, third, 1))).status).toBeLessThan(300);
  await until(() => staged.at(-1) === 'r3 by 1');
  expect((await server.order(orderFor(signer, third, 2, { aborted: true }))).status).toBeLessThan(300);
  await until(() => staged.at(-1) === 'r3 by 2');

  const reporter = createStatusReporter({
    config: {
      url: `http://127.0.0.1:${server.port}/v1/status`,
      credentials: { bearer_token: TOKENS.report },
      interval_seconds: 1,
    },
    status: () => activator.status(),
    candidateOf: () => undefined,
    labels: { region: 'eu' },
    instanceId: 'i-1',
    version: '1.0',
    clock,
    startTimer: startSystemTimer,
    random: Math.random,
    logger: { limited: (_key, _level, fields) => expect.fail(String(fields['error'])) },
  });
  reporter.start();
  closing.push(() => reporter.stop());
  const fleet = async (): Promise<string> =>
    JSON.stringify((await server.ask('fleet', { method: 'GET', path: '/v1/fleet' })).body);
  let seen = '';
  for (let at = 0; at < 50 && !seen.includes(second.sha256); at += 1) {
    seen = await fleet();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(seen).toContain('i-1');
  expect(seen).toContain(second.sha256);
});
