import { decodeProtectedHeader } from 'jose';
import { describe, expect, test } from 'vitest';
import { createAuthenticator } from '../../../src/identity/authenticator.ts';
import { createDemoIssuer } from '../../../src/identity/demo-issuer.ts';
import { checkDemoIssuer, type DemoFacts } from '../../../src/identity/demo-prohibitions.ts';
import { INVALID, later, manualTime, NOW_SECONDS, request } from './support.ts';

async function demo() {
  const { clock, startTimer } = manualTime();
  const demoIssuer = await createDemoIssuer({ clock });
  const authenticator = createAuthenticator({
    config: {},
    demoIssuer: demoIssuer.issuer,
    clock,
    startTimer,
    random: () => 0.5,
    fetch: () => Promise.reject(new Error('nothing is fetched here')),
    readFile: () => Promise.reject(new Error('nothing is read here')),
    report: () => {},
  });
  await authenticator.start();
  const verdict = async (presented: string, ms = 0) =>
    authenticator.authenticate(request(`Bearer ${presented}`), later(ms));
  return { demoIssuer, authenticator, verdict };
}

describe('the demo issuer', () => {
  test('mints tokens for tenant-a that are accepted, marked as demo and kept from the upstream', async () => {
    const { demoIssuer, authenticator, verdict } = await demo();
    expect(authenticator.ready().ready).toBe(true);
    expect(await verdict(await demoIssuer.mint())).toMatchObject({
      kind: 'verified',
      principal: { kind: 'jwt', issuer: 'urn:sallyport:demo', tenant: 'tenant-a', tier: 'premium', demo: true },
      stripHeaders: ['authorization'],
    });
  });

  test('its tokens live for ten minutes, to the millisecond', async () => {
    const { demoIssuer, verdict } = await demo();
    const minted = await demoIssuer.mint();
    expect(await verdict(minted, 599_999)).toMatchObject({ kind: 'verified' });
    expect(await verdict(minted, 600_000)).toMatchObject(INVALID);
  });

  test('other claims can be asked for', async () => {
    const { demoIssuer, verdict } = await demo();
    const minted = await demoIssuer.mint({ tenant: 'tenant-b', tier: 'free', exp: NOW_SECONDS + 5 });
    expect(await verdict(minted)).toMatchObject({ principal: { tenant: 'tenant-b', tier: 'free' } });
  });

  test('every start has a key of its own: tokens of another start are refused', async () => {
    const [one, other] = [await demo(), await demo()];
    const minted = await other.demoIssuer.mint();
    expect(decodeProtectedHeader(minted)).toEqual({ alg: 'ES256', kid: 'demo' });
    expect(await one.verdict(minted)).toMatchObject(INVALID);
  });
});

describe('the demo issuer is a config error (row 33)', () => {
  const allowed: DemoFacts = {
    otherIssuers: 0,
    apiKeys: false,
    mtls: false,
    shippedBundle: true,
    listenersOffLoopback: [],
    redis: false,
    workers: 1,
    env: { NODE_ENV: 'development', PATH: '/bin' },
  };
  const forbidden: readonly (readonly [string, Partial<DemoFacts>])[] = [
    ['another issuer', { otherIssuers: 1 }],
    ['API keys', { apiKeys: true }],
    ['mTLS identities', { mtls: true }],
    ['a bundle other than the shipped one', { shippedBundle: false }],
    ['a listener off loopback', { listenersOffLoopback: ['0.0.0.0:9191'] }],
    ['a Redis store', { redis: true }],
    ['more than one worker', { workers: 2 }],
    ['Kubernetes', { env: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } }],
    ['`NODE_ENV=production`', { env: { NODE_ENV: 'production' } }],
  ];

  test('alone on loopback it is none', () => {
    expect(checkDemoIssuer(allowed)).toEqual([]);
  });

  test.each(forbidden)('with %s', (reason, facts) => {
    expect(checkDemoIssuer({ ...allowed, ...facts })).toEqual([
      { path: 'insecure.demo_issuer', message: expect.stringContaining(`must not be used with ${reason}`) },
    ]);
  });

  test.each([
    ['an empty Kubernetes address', { env: { KUBERNETES_SERVICE_HOST: '' } }],
    ['NODE_ENV in another case', { env: { NODE_ENV: ' Production' } }],
    ['an unknown number of workers', { workers: Number.NaN }],
    ['an unknown number of issuers', { otherIssuers: Number.NaN }],
  ])('also with %s', (_name, facts) => {
    expect(checkDemoIssuer({ ...allowed, ...facts }).length).toBe(1);
  });

  test('each pair is told whole', () => {
    for (const [left, a] of forbidden) {
      for (const [right, b] of forbidden) {
        if (left === right) continue;
        const env = { ...a.env, ...b.env };
        const messages = checkDemoIssuer({ ...allowed, ...a, ...b, env }).map(({ message }) => message);
        expect(messages.length, `${left} and ${right}`).toBe(2);
      }
    }
  });
});
