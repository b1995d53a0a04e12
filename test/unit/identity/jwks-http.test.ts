import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Instant } from '../../../src/decision/ports.ts';
import { createAuthenticator, type KeysRefreshed } from '../../../src/identity/authenticator.ts';
import {
  AT,
  INVALID,
  ISSUER,
  jwks,
  later,
  payload,
  publicJwk,
  request,
  settings,
  startRealTimer,
  testKey,
  token,
} from './support.ts';

/** SECURITY row 9: an issuer's address that is down, slow, hostile or rotating, over a real socket. */

const key = testKey('ES256');
const next = testKey('ES256', 'next');
const bearer = (signer = key) => `Bearer ${token(signer, payload())}`;

/** Long enough for a machine under load: nothing below depends on how quick it is. */
const PATIENT_MS = 20_000;

let server: Server;
let port: number;
let visits: string[];
let answer: RequestListener;

beforeEach(async () => {
  visits = [];
  server = createServer((incoming, outgoing) => {
    visits.push(incoming.url ?? '');
    answer(incoming, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A server that listens on TCP has an AddressInfo.
  port = (server.address() as AddressInfo).port;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** An authenticator of one issuer at the test's server, on a clock that the test moves and timers that are real. */
function authenticatorOf(changes: { readonly timeout_ms?: number; readonly max_age_seconds?: number } = {}) {
  let at: Instant = AT;
  const events: KeysRefreshed[] = [];
  const authenticator = createAuthenticator({
    config: {
      jwt: {
        issuers: [
          {
            ...settings(),
            jwks: {
              url: `http://127.0.0.1:${port}/keys`,
              cooldown_seconds: 30,
              refresh_seconds: 300,
              max_age_seconds: 3600,
              timeout_ms: PATIENT_MS,
              ...changes,
            },
          },
        ],
        max_token_bytes: 8192,
        cache_ttl_seconds: 60,
        cache_max_entries: 1000,
      },
    },
    clock: { now: () => at },
    startTimer: startRealTimer,
    random: () => 0.5,
    fetch,
    readFile: () => Promise.reject(new Error('no file is read here')),
    report: (event) => events.push(event),
  });
  return {
    authenticator,
    events,
    verdict: async (authorization: string) => authenticator.authenticate(request(authorization), at),
    moveTo: (instant: Instant) => {
      at = instant;
    },
  };
}

const good: RequestListener = (_incoming, outgoing) => outgoing.end(jwks(publicJwk(key)));

describe('an issuer with an address', () => {
  test('is ready once its keys are there, and its tokens are accepted', async () => {
    answer = good;
    const { authenticator, verdict } = authenticatorOf();
    expect(authenticator.ready()).toEqual({
      ready: false,
      reasons: [`issuer \`${ISSUER}\`: its keys were never loaded`],
    });
    await authenticator.start();
    expect(authenticator.ready()).toEqual({ ready: true, reasons: [] });
    expect(await verdict(bearer())).toMatchObject({ kind: 'verified' });
    authenticator.stop();
  });

  const hostile: {
    readonly [name: string]: { readonly answer: RequestListener; readonly cause: RegExp; readonly timeout_ms?: number };
  } = {
    'status 500': {
      answer: (_incoming, outgoing) => outgoing.writeHead(500).end(jwks(publicJwk(key))),
      cause: /answered 500/,
    },
    'status 404': {
      answer: (_incoming, outgoing) => outgoing.writeHead(404).end(jwks(publicJwk(key))),
      cause: /answered 404/,
    },
    'status 203': {
      answer: (_incoming, outgoing) => outgoing.writeHead(203).end(jwks(publicJwk(key))),
      cause: /answered 203/,
    },
    'an empty answer': { answer: (_incoming, outgoing) => outgoing.end(), cause: /JSON/ },
    garbage: { answer: (_incoming, outgoing) => outgoing.end('<html>'), cause: /JSON/ },
    'invalid UTF-8': {
      answer: (_incoming, outgoing) => outgoing.end(Buffer.from([0x7b, 0xff, 0x7d])),
      cause: /valid|encoded/,
    },
    'a redirect to a good set': {
      answer: (incoming, outgoing) =>
        incoming.url === '/keys' ? outgoing.writeHead(302, { location: '/moved' }).end() : good(incoming, outgoing),
      cause: /redirect/,
    },
    'a set that is too large': {
      answer: (_incoming, outgoing) => outgoing.end(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`),
      cause: /larger than 262144 bytes/,
    },
    'a stream without end': {
      answer: (_incoming, outgoing) => {
        const pour = (): void => {
          while (!outgoing.destroyed && outgoing.write(' '.repeat(65_536)));
          if (!outgoing.destroyed) outgoing.once('drain', pour);
        };
        pour();
      },
      cause: /larger than 262144 bytes/,
    },
    'a connection that is cut': {
      answer: (_incoming, outgoing) => {
        outgoing.write('{"keys":');
        setImmediate(() => outgoing.destroy());
      },
      cause: /./,
    },
    'a reset': { answer: (incoming) => incoming.socket.resetAndDestroy(), cause: /./ },
    'an answer that never comes': { answer: () => {}, cause: /no answer within 200 ms/, timeout_ms: 200 },
    'an answer that trickles': {
      answer: (_incoming, outgoing) => {
        const timer = setInterval(() => outgoing.write(' '), 20);
        outgoing.on('close', () => clearInterval(timer));
      },
      cause: /no answer within 200 ms/,
      timeout_ms: 200,
    },
    'a key name twice': {
      answer: (_incoming, outgoing) => outgoing.end(jwks(publicJwk(key), publicJwk(next, { kid: key.kid }))),
      cause: /appears twice/,
    },
    'a symmetric key under the known name': {
      answer: (_incoming, outgoing) => outgoing.end(jwks(publicJwk(next), { kty: 'oct', k: 'AAAA', kid: key.kid })),
      cause: /shared secret/,
    },
    'a private key': {
      answer: (_incoming, outgoing) => outgoing.end(jwks(key.privateKey.export({ format: 'jwk' }))),
      cause: /private key/,
    },
  };

  test.each(Object.entries(hostile))(
    'answering at first with %s is not ready, its tokens are denied',
    async (_name, one) => {
      answer = one.answer;
      const { authenticator, verdict, events } = authenticatorOf({ timeout_ms: one.timeout_ms ?? PATIENT_MS });
      await authenticator.start();
      expect(authenticator.ready().ready).toBe(false);
      expect(await verdict(bearer())).toMatchObject({ kind: 'refused', code: 'issuer_unavailable' });
      expect(events).toEqual([{ issuer: ISSUER, kind: 'failed', cause: expect.stringMatching(one.cause) }]);
      expect(visits).toEqual(['/keys']);
      authenticator.stop();
    },
  );

  test.each(Object.entries(hostile))('answering later with %s keeps its last good keys', async (_name, one) => {
    answer = good;
    const { authenticator, verdict, events, moveTo } = authenticatorOf({ timeout_ms: one.timeout_ms ?? PATIENT_MS });
    await authenticator.start();
    answer = one.answer;
    moveTo(later(31_000));
    expect(await verdict(bearer(next))).toMatchObject(INVALID);
    await expect.poll(() => events.length, { timeout: PATIENT_MS }).toBe(2);
    expect(events[1]).toMatchObject({ kind: 'failed', cause: expect.stringMatching(one.cause) });
    expect(await verdict(bearer())).toMatchObject({ kind: 'verified' });
    expect(visits).toEqual(['/keys', '/keys']);
    authenticator.stop();
  });

  test('that is down is denied, also when it was good, once its keys are too old', async () => {
    answer = good;
    const { authenticator, verdict, moveTo } = authenticatorOf();
    await authenticator.start();
    const presented = `Bearer ${token(key, payload({ exp: 2 ** 40 }))}`;
    expect(await verdict(presented)).toMatchObject({ kind: 'verified' });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    moveTo(later(3_599_000));
    expect(await verdict(presented)).toMatchObject({ kind: 'verified' });
    moveTo(later(3_601_000));
    expect(await verdict(presented)).toMatchObject({ kind: 'refused', code: 'issuer_unavailable' });
    expect(authenticator.ready()).toMatchObject({ ready: false, reasons: [expect.stringMatching(/too old/)] });
    authenticator.stop();
  });

  test('that rotates its key: the new one works with one visit, the old one no longer', async () => {
    answer = good;
    const { authenticator, verdict, moveTo } = authenticatorOf();
    await authenticator.start();
    const old = bearer();
    expect(await verdict(old)).toMatchObject({ kind: 'verified' });
    answer = (_incoming, outgoing) => outgoing.end(jwks(publicJwk(next)));
    moveTo(later(31_000));
    // Its first request waits for the visit, but no longer than 100 ms.
    await expect.poll(async () => (await verdict(bearer(next))).kind, { timeout: PATIENT_MS }).toBe('verified');
    expect(await verdict(old)).toMatchObject(INVALID);
    expect(visits.length).toBe(2);
    authenticator.stop();
  });

  test('100,000 random key names cause one visit per cool-down, and good tokens stay remembered', async () => {
    answer = good;
    const { authenticator, verdict, moveTo } = authenticatorOf();
    await authenticator.start();
    const remembered = bearer();
    await verdict(remembered);
    moveTo(later(31_000));
    const [, body, sig] = bearer().slice('Bearer '.length).split('.');
    let refused = 0;
    for (let round = 0; round < 100; round += 1) {
      const found = await Promise.all(
        Array.from({ length: 1000 }, (_, index) => {
          const header = Buffer.from(`{"alg":"ES256","kid":"${round}-${index}"}`).toString('base64url');
          return verdict(`Bearer ${header}.${body}.${sig}`);
        }),
      );
      refused += found.filter((one) => one.kind === 'refused' && one.code === 'invalid_credential').length;
    }
    expect(refused).toBe(100_000);
    await expect.poll(() => visits.length, { timeout: PATIENT_MS }).toBe(2);
    expect(authenticator.authenticate(request(remembered), later(31_000))).not.toBeInstanceOf(Promise);
    console.log(`row 9: 100,000 random key names, ${visits.length - 1} visit in the cool-down, ${refused} refused`);
    authenticator.stop();
  });

  test('nothing listens at all: start ends well, not ready', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const { authenticator, events } = authenticatorOf();
    await authenticator.start();
    expect(authenticator.ready().ready).toBe(false);
    expect(events).toMatchObject([{ kind: 'failed', cause: expect.stringMatching(/ECONNREFUSED/) }]);
    authenticator.stop();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
});
