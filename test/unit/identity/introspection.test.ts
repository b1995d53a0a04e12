import { describe, expect, test } from 'vitest';
import { DEFAULT_CLAIMS, type IntrospectionConfig } from '../../../src/identity/config.ts';
import { createDpop } from '../../../src/identity/dpop.ts';
import { createIntrospectionMethod, introspectedTokens } from '../../../src/identity/introspection.ts';
import type { FetchPost, FetchPostInit } from '../../../src/identity/introspection-client.ts';
import { dpopRequest, proof, thumbprintOf } from './dpop-support.ts';
import { AT, later, manualTime, NOW_SECONDS, request, testKey, turn } from './support.ts';

const TOKEN = 'opaque-token_1~+/';
const CONFIG: IntrospectionConfig = {
  issuer: 'https://issuer.test',
  url: 'https://issuer.test/introspect',
  client_id: 'sally port',
  client_secret: 's3cr:et/+',
  audiences: ['sallyport'],
  claims: DEFAULT_CLAIMS,
  cache_ttl_seconds: 10,
  negative_ttl_seconds: 5,
  deadline_ms: 200,
  max_in_flight: 4,
  cache_max_entries: 100,
};
const ACTIVE = {
  active: true,
  iss: CONFIG.issuer,
  aud: 'sallyport',
  sub: 'service-1',
  scope: 'infer read',
  tenant: 'tenant-a',
  tier: 'premium',
  roles: ['reader'],
  exp: NOW_SECONDS + 300,
};

interface Asked {
  readonly url: string;
  readonly init: FetchPostInit;
}

/** A method whose endpoint answers what the test says, on a clock that moves when told. */
function open(answer: unknown, changes: Partial<IntrospectionConfig>[] = [{}]) {
  const asked: Asked[] = [];
  const time = manualTime();
  const fetch: FetchPost = (url, init) => {
    asked.push({ url, init });
    return isAnswering(answer) ? answer() : Promise.resolve(reply(answer));
  };
  const method = createIntrospectionMethod({
    servers: changes.map((change) => ({ ...CONFIG, ...change })),
    maxTokenBytes: 8192,
    fetch,
    clock: time.clock,
    startTimer: time.startTimer,
    confirm: createDpop({ enabled: true, max_age_seconds: 60, max_entries: 1000 }),
  });
  const ask = async (token = TOKEN, at = time.clock.now(), peer: { fingerprintSha256: string } | null = null) =>
    await method.authenticate(request(`Bearer ${token}`), at, peer === null ? null : { dnsSans: [], ...peer });
  return { asked, time, method, ask };
}

function isAnswering(answer: unknown): answer is () => ReturnType<FetchPost> {
  return typeof answer === 'function';
}

function reply(body: unknown, status = 200) {
  const bytes =
    typeof body === 'string' || body instanceof Uint8Array ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
  return {
    status,
    body: (async function* () {
      yield bytes;
    })(),
  };
}

const REFUSED = { kind: 'refused', code: 'invalid_credential', challenge: 'Bearer error="invalid_token"' };
const UNAVAILABLE = { kind: 'refused', code: 'issuer_unavailable' };

describe('what is asked', () => {
  test('a form with client authentication, and no redirect is followed', async () => {
    const { asked, ask } = open(ACTIVE);
    await ask();
    expect(asked).toHaveLength(1);
    const { url, init } = asked[0] ?? expect.fail();
    expect(url).toBe(CONFIG.url);
    expect(init).toMatchObject({ method: 'POST', redirect: 'error' });
    expect(init.body).toBe('token=opaque-token_1~%2B%2F&token_type_hint=access_token');
    const basic = Buffer.from('sally+port:s3cr%3Aet%2F%2B').toString('base64');
    expect(init.headers).toMatchObject({
      authorization: `Basic ${basic}`,
      'content-type': 'application/x-www-form-urlencoded',
    });
  });

  test.each(['sp_abc', `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.e30.AA`])(
    '`%s` is not',
    async (token) => {
      const { asked, ask } = open(ACTIVE);
      expect(await ask(token)).toBeUndefined();
      expect(asked).toHaveLength(0);
    },
  );

  test.each(['abc', 'a.b', 'a.b.c', 'a.b.c.d', 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU'])(
    '`%s` is opaque',
    (token) => {
      expect(introspectedTokens({ jwt: true, apiKeys: true })(token)).toBe(true);
    },
  );

  const JWT = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.e30.AA`;

  test.each([
    [false, false, [JWT, 'sp_abc', 'abc']],
    [true, false, ['sp_abc', 'abc']],
    [false, true, [JWT, 'abc']],
    [true, true, ['abc']],
  ])('is every token that no other method judges (JWT %s, API keys %s)', (jwt, apiKeys, taken) => {
    expect([JWT, 'sp_abc', 'abc'].filter(introspectedTokens({ jwt, apiKeys }))).toEqual(taken);
  });

  test.each(['', 'a b', 'a,b', 'a, Bearer b', 'ä'])('`%s` is no token and nobody is asked', async (token) => {
    const { asked, ask } = open(ACTIVE);
    expect(await ask(token)).toMatchObject(REFUSED);
    expect(asked).toHaveLength(0);
  });
});

describe('what an active token says', () => {
  test('subject, tenant, roles, tier and scopes', async () => {
    expect(await open(ACTIVE).ask()).toEqual({
      kind: 'verified',
      principal: {
        kind: 'jwt',
        subject: 'service-1',
        issuer: CONFIG.issuer,
        tenant: 'tenant-a',
        tier: 'premium',
        roles: ['reader'],
        scopes: ['infer', 'read'],
        claims: ACTIVE,
        demo: false,
        credentials: [{ kind: 'jwt', issuer: CONFIG.issuer, header: 'authorization', presented: `Bearer ${TOKEN}` }],
      },
      peer: null,
      stripHeaders: ['authorization', 'dpop'],
    });
  });

  test('neither `iss` nor `exp` need be said', async () => {
    const { iss: _iss, exp: _exp, ...rest } = ACTIVE;
    expect(await open(rest).ask()).toMatchObject({ kind: 'verified', principal: { claims: rest } });
  });

  test.each<[string, unknown]>([
    ['not active', { active: false }],
    ['not active, whatever else it says', { ...ACTIVE, active: false }],
    ['for nobody', { ...ACTIVE, aud: undefined }],
    ['for others', { ...ACTIVE, aud: ['other'] }],
    ['of another issuer', { ...ACTIVE, iss: 'https://other.test' }],
    ['expired', { ...ACTIVE, exp: NOW_SECONDS }],
    ['bound to a key that is not told', { ...ACTIVE, token_type: 'DPoP' }],
    ['a refresh token', { ...ACTIVE, token_use: 'refresh_token' }],
    ['with an exp that is none', { ...ACTIVE, exp: 'soon' }],
    ['not valid yet', { ...ACTIVE, nbf: NOW_SECONDS + 1 }],
    ['issued in the future', { ...ACTIVE, iat: NOW_SECONDS + 1 }],
    ['with a tenant that is no name', { ...ACTIVE, tenant: 'a b' }],
    ['with roles of numbers', { ...ACTIVE, roles: [1] }],
    ['with an empty cnf', { ...ACTIVE, cnf: {} }],
    ['with a cnf of an unknown kind', { ...ACTIVE, cnf: { kid: 'x' } }],
    [
      'bound to a certificate that is not shown',
      { ...ACTIVE, cnf: { 'x5t#S256': Buffer.alloc(32, 1).toString('base64url') } },
    ],
    [
      'bound to a key and presented as a bearer’s',
      { ...ACTIVE, cnf: { jkt: Buffer.alloc(32, 1).toString('base64url') } },
    ],
  ])('%s: refused', async (_name, answer) => {
    const { ask } = open(answer);
    expect(await ask()).toMatchObject(REFUSED);
    expect(await ask()).toMatchObject(REFUSED);
  });

  test('a token bound to a certificate is good with that one, and remembered for no other', async () => {
    const { ask } = open({ ...ACTIVE, cnf: { 'x5t#S256': Buffer.alloc(32, 1).toString('base64url') } });
    expect(await ask(TOKEN, AT, { fingerprintSha256: '01'.repeat(32) })).toMatchObject({ kind: 'verified' });
    expect(await ask(TOKEN, AT, { fingerprintSha256: '02'.repeat(32) })).toMatchObject(REFUSED);
    expect(await ask(TOKEN, AT)).toMatchObject(REFUSED);
  });

  test('a token bound to a key is good with a fresh proof only', async () => {
    const key = testKey('ES256', 'client');
    const { method } = open({ ...ACTIVE, cnf: { jkt: thumbprintOf(key) } });
    const once = proof(key, TOKEN);
    expect(await method.authenticate(dpopRequest(TOKEN, [once]), AT)).toMatchObject({ kind: 'verified' });
    const refused = { kind: 'refused', challenge: 'DPoP error="invalid_dpop_proof"' };
    expect(await method.authenticate(dpopRequest(TOKEN, [once]), AT)).toMatchObject(refused);
    expect(await method.authenticate(dpopRequest(TOKEN, []), AT)).toMatchObject(refused);
    const unbound = open(ACTIVE).method.authenticate(dpopRequest(TOKEN, [proof(key, TOKEN)]), AT);
    expect(await unbound).toMatchObject(REFUSED);
  });
});

describe('an endpoint that gives no sound answer makes no token good', () => {
  const large = `{"active":true,"aud":"sallyport","pad":"${'x'.repeat(65_536)}"}`;
  test.each<[string, unknown]>([
    ...[201, 204, 301, 302, 400, 401, 403, 404, 429, 500, 503].map(
      (status) => [`status ${status}`, () => Promise.resolve(reply(ACTIVE, status))] as [string, unknown],
    ),
    ['no connection', () => Promise.reject(new TypeError('fetch failed'))],
    ['nothing', ''],
    ['no JSON', 'active=true'],
    ['a list', [ACTIVE]],
    ['a text', '"active"'],
    ['null', 'null'],
    ['no `active`', { ...ACTIVE, active: undefined }],
    ['`active` a text', { ...ACTIVE, active: 'true' }],
    ['`active` a number', { ...ACTIVE, active: 1 }],
    ['`active` twice', '{"active":false,"active":true}'],
    ['`active` by prototype', '{"__proto__":{"active":true}}'],
    ['an escaped key', '{"\\u0061ctive":true}'],
    ['a second document', '{"active":true}{"active":true}'],
    ['a BOM', `\uFEFF${JSON.stringify(ACTIVE)}`],
    ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['more than 64 KiB', large],
    [
      'a body that breaks off',
      () =>
        Promise.resolve({
          status: 200,
          body: (async function* () {
            yield Buffer.from('{"active":true');
            throw new Error('reset');
          })(),
        }),
    ],
    ['no body', () => Promise.resolve({ status: 200, body: null })],
  ])('%s', async (_name, answer) => {
    const { asked, ask } = open(answer);
    expect(await ask()).toMatchObject(UNAVAILABLE);
    expect(await ask()).toMatchObject(UNAVAILABLE);
    // A failure is not remembered.
    expect(asked).toHaveLength(2);
  });

  test('no answer within the deadline', async () => {
    const { ask, time, asked } = open(() => new Promise(() => {}));
    const waiting = ask();
    await time.advance(199);
    expect(asked[0]?.init.signal.aborted).toBe(false);
    await time.advance(1);
    expect(await waiting).toMatchObject(UNAVAILABLE);
    expect(asked[0]?.init.signal.aborted).toBe(true);
    expect(time.pending()).toBe(0);
  });

  test('too many questions under way', async () => {
    const { ask, time, asked } = open(() => new Promise(() => {}));
    const waiting = ['a', 'b', 'c', 'd'].map((token) => ask(token));
    await turn();
    expect(await ask('e')).toMatchObject(UNAVAILABLE);
    expect(asked).toHaveLength(4);
    await time.advance(200);
    for (const one of waiting) expect(await one).toMatchObject(UNAVAILABLE);
    const later = ask('e');
    await turn();
    expect(asked).toHaveLength(5);
    await time.advance(200);
    expect(await later).toMatchObject(UNAVAILABLE);
  });
});

describe('what is remembered', () => {
  test('of a good token is not pushed out by those that are none', async () => {
    let answer: object = ACTIVE;
    const { ask, asked } = open(() => Promise.resolve(reply(answer)), [{ cache_max_entries: 2 }]);
    await ask('good');
    answer = { active: false };
    for (const one of ['a', 'b', 'c', 'd']) expect(await ask(one)).toMatchObject(REFUSED);
    expect(await ask('good')).toMatchObject({ kind: 'verified' });
    expect(asked).toHaveLength(5);
  });

  test('one question for all who ask at the same time', async () => {
    const { ask, asked } = open(ACTIVE);
    const found = await Promise.all(Array.from({ length: 100 }, () => ask()));
    expect(found.every((one) => one?.kind === 'verified')).toBe(true);
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['an active token', ACTIVE, 10_000],
    ['one that is not', { active: false }, 5000],
  ])('%s, for no longer than config says', async (_name, answer, ttlMs) => {
    const { ask, asked, time } = open(answer);
    await ask();
    await time.advance(ttlMs - 1);
    await ask();
    expect(asked).toHaveLength(1);
    await time.advance(1);
    await ask();
    expect(asked).toHaveLength(2);
  });

  test('never past `exp`', async () => {
    const { ask, asked } = open({ ...ACTIVE, exp: NOW_SECONDS + 3 });
    expect(await ask()).toMatchObject({ kind: 'verified' });
    expect(await ask(TOKEN, later(2999))).toMatchObject({ kind: 'verified' });
    expect(await ask(TOKEN, later(3000))).toMatchObject(REFUSED);
    expect(asked).toHaveLength(1);
  });

  test('nothing where config says so', async () => {
    const { ask, asked } = open(ACTIVE, [{ cache_ttl_seconds: 0 }]);
    await ask();
    await ask();
    expect(asked).toHaveLength(2);
  });

  test('no more than config says', async () => {
    const { ask, asked } = open(ACTIVE, [{ cache_max_entries: 2 }]);
    for (const token of ['a', 'b', 'c', 'a']) await ask(token);
    expect(asked).toHaveLength(4);
  });
});

describe('several issuers', () => {
  const two = [{}, { issuer: 'https://second.test', url: 'https://second.test/introspect' }];
  const answering = (first: unknown, second: unknown) => {
    let next = 0;
    return open(() => {
      next += 1;
      const answer = next % 2 === 1 ? first : second;
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(reply(answer));
    }, two);
  };
  const fromSecond = { ...ACTIVE, iss: 'https://second.test' };

  test.each<[string, unknown, unknown, object]>([
    [
      'the second knows it',
      { active: false },
      fromSecond,
      { kind: 'verified', principal: { issuer: 'https://second.test' } },
    ],
    ['the first is down and the second knows it', new Error('down'), fromSecond, { kind: 'verified' }],
    ['the first is down and the second does not know it', new Error('down'), { active: false }, UNAVAILABLE],
    ['nobody knows it', { active: false }, { active: false }, REFUSED],
    ['one speaks for the other', { active: false }, ACTIVE, REFUSED],
  ])('%s', async (_name, first, second, wanted) => {
    expect(await answering(first, second).ask()).toMatchObject(wanted);
  });
});
