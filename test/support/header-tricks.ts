import type { Random } from './seed.ts';

/** Name and value as they go over the wire: one byte a character. */
export type HeaderPair = readonly [string, string];

/** Headers that a client adds to a request to get more than its credential is good for. None is a credential. */
export type HeaderTrick = readonly HeaderPair[];

const OWN = ['tenant', 'role', 'upstream', 'decision-id', 'decision', 'tier', 'model', 'subject', 'demo', 'reason'];
const OWN_VALUES = ['tenant-b', 'admin', 'batch', 'internal', 'tenant-b-llama-3-8b', 'tenant-b-upstream', '', 'a,b'];

const PATHS = ['/v1/chat/completions', '/tenant-b/llama-3-8b/infer', '/admin', '/', 'http://tenant-b.test/'];
const HOSTS = ['tenant-b.test', 'gateway.test:443', 'tenant-b.test, gateway.test', 'localhost'];
const ADDRESSES = [
  '127.0.0.1',
  '10.0.0.1, 192.0.2.7',
  '::1',
  '203.0.113.9:80',
  'unknown',
  '_hidden',
  '::ffff:10.0.0.1',
];
const METHODS = ['GET', 'OPTIONS', 'POST', 'PUT', 'DELETE'];
const TENANTS = ['tenant-b', 'tenant-a,tenant-b', 'internal', 'admin'];
const OTHER_XFCC = 'By=spiffe://td/gw;Hash=00;URI="spiffe://cluster.local/ns/tenant-b/sa/admin"';

/** Headers by what they claim, each with the values that are tried. */
const CLAIMS: readonly (readonly [names: readonly string[], values: readonly string[]])[] = [
  [OWN.map((name) => `x-sallyport-${name}`), OWN_VALUES],
  [['X-Sallyport-Tenant', 'X-SALLYPORT-ROLE', 'X-Sallyport-Upstream'], OWN_VALUES],
  [
    ['x_sallyport_tenant', 'x-sallyport_role', 'x_sallyport-upstream', 'x-sallyport-decision_id'],
    ['tenant-b', 'admin'],
  ],
  [
    ['sallyport.decision', 'sallyport-decision', 'x-context-extensions'],
    ['legacy', 'default', 'none'],
  ],
  [['x-envoy-original-path', 'x-envoy-original-url', 'x-original-url', 'x-original-uri', 'x-rewrite-url'], PATHS],
  [['x-original-path', 'x-forwarded-uri', 'x-forwarded-path', 'x-forwarded-prefix', 'x-accel-redirect'], PATHS],
  [['x-envoy-original-host', 'x-forwarded-host', 'x-original-host', 'x-host', 'x-forwarded-server'], HOSTS],
  [['x-envoy-external-address', 'x-real-ip', 'true-client-ip', 'x-client-ip', 'cf-connecting-ip'], ADDRESSES],
  [['x-forwarded-for', 'x-cluster-client-ip', 'x-remote-addr', 'x-forwarded', 'x-originating-ip'], ADDRESSES],
  [['forwarded'], ['for=127.0.0.1;host=tenant-b.test;proto=https', 'for="[::1]"', 'host=tenant-b.test']],
  [
    ['x-forwarded-proto', 'x-forwarded-scheme', 'x-scheme', 'x-forwarded-ssl'],
    ['https', 'http', 'on', 'https,http'],
  ],
  [
    ['x-forwarded-port', 'x-forwarded-by'],
    ['443', '0', 'tenant-b'],
  ],
  [
    ['x-original-method', 'x-http-method-override', 'x-http-method', 'x-method-override', 'x-forwarded-method'],
    METHODS,
  ],
  [
    ['x-forwarded-client-cert', 'X-Forwarded-Client-Cert', 'x-client-cert', 'ssl-client-cert'],
    [OTHER_XFCC, 'URI=x'],
  ],
  [
    ['x-ssl-client-s-dn', 'x-ssl-client-verify', 'x-spiffe-id', 'x-peer'],
    ['CN=admin', 'SUCCESS', 'spiffe://td/admin'],
  ],
  [['x-tenant', 'x-tenant-id', 'x-org', 'tenant', 'x-workspace', 'x-project-id'], TENANTS],
  [['x-user', 'x-remote-user', 'remote_user', 'x-auth-request-user', 'x-auth-request-email', 'x-roles'], TENANTS],
  [['x-tier', 'x-plan', 'x-role', 'x-groups', 'x-scopes', 'x-jwt-payload', 'x-amzn-oidc-data', 'x-userinfo'], TENANTS],
  [['x-model', 'x-upstream', 'x-cluster', 'x-route', 'x-service', 'x-envoy-peer-metadata'], ['tenant-b-llama-3-8b']],
  [
    ['x-envoy-internal', 'x-envoy-force-trace', 'x-envoy-is-timeout-retry', 'x-envoy-attempt-count'],
    ['true', '1'],
  ],
  [
    ['x-envoy-upstream-rq-timeout-ms', 'x-envoy-upstream-alt-stat-name', 'x-envoy-hedge-on-per-try-timeout'],
    ['1', '0'],
  ],
  [
    ['x-envoy-auth-headers-to-remove', 'x-envoy-auth-failure-mode-allowed'],
    ['authorization', 'true', 'x-sallyport-tenant'],
  ],
  [
    ['x-envoy-decorator-operation', 'x-envoy-downstream-service-cluster', 'x-envoy-retry-on'],
    ['tenant-b', '5xx'],
  ],
  [['connection'], ['x-sallyport-tenant', 'authorization', 'host', 'x-sallyport-upstream, close', 'keep-alive, x-any']],
  [
    ['keep-alive', 'proxy-connection', 'te', 'trailer', 'proxy-authenticate'],
    ['trailers', 'authorization', 'timeout=5'],
  ],
  [
    ['x-request-id', 'traceparent', 'tracestate', 'b3', 'x-b3-traceid'],
    ['1', 'tenant-b', '00-0-0-00', '{"a":1}'],
  ],
  [
    ['__proto__', 'constructor', 'hasownproperty', 'tostring', 'x-__proto__'],
    ['tenant-b', '{"tenant":"tenant-b"}'],
  ],
  [
    ['origin', 'referer', 'access-control-request-headers', 'cookie2'],
    ['https://tenant-b.test', 'null', 'x-sallyport-tenant'],
  ],
  [
    ['x-limit', 'x-ratelimit-bypass', 'x-quota', 'x-cost', 'x-tokens', 'grpc-timeout', 'max-forwards'],
    ['0', '-1', '1S'],
  ],
  [
    ['content-md5', 'digest', 'content-language', 'content-location', 'range', 'prefer', 'x-debug'],
    ['0', '/admin', 'x'],
  ],
];

/** Values that readers take apart, cut off or mend. */
const BYTES = [
  ...[
    '\xff\xfe',
    '\xc0\xaf',
    '\xe2\x80',
    'tenant-b\xa0',
    '\xc3\xa9',
    '\x80',
    '=?utf-8?q?tenant-b?=',
    '"tenant-b"',
    "'",
  ],
  ...['tenant-b;', ';tenant-b', '%74enant-b', 'tenant-b\ttenant-a', '\u00ad', '{}', '[]', 'a'.repeat(2_000)],
];

/** Every claim once with each of its values. */
export function headerTricks(): readonly HeaderTrick[] {
  const tricks: HeaderTrick[] = [];
  for (const [names, values] of CLAIMS) {
    for (const name of names) {
      for (const value of values) tricks.push([[name, value]]);
    }
    // Twice with different values, and by a name with underscores.
    for (const name of names) tricks.push(values.slice(0, 2).map((value) => [name, value] as const));
    for (const name of names) tricks.push([[name.replaceAll('-', '_'), values[0] ?? '']]);
  }
  for (const value of BYTES) {
    for (const name of ['x-sallyport-tenant', 'x-tenant-id', 'x-forwarded-for', 'x-request-id', 'x-any']) {
      tricks.push([[name, value]]);
    }
  }
  return tricks;
}

/** One to four claims together, some of them twice, in any case, or with bytes that are no text. */
export function randomHeaderTrick(random: Random): HeaderTrick {
  return Array.from({ length: 1 + random.below(4) }, () => {
    const [names, values] = random.pick(CLAIMS);
    let name = random.pick(names);
    if (random.chance(0.1)) name = name.toUpperCase();
    if (random.chance(0.1)) name = name.replace('-', '_');
    const value = random.chance(0.1) ? random.pick(BYTES) : random.pick(values);
    const pair: HeaderPair = [name, value];
    return random.chance(0.15) ? [pair, [name, random.pick(values)] as const] : [pair];
  }).flat();
}
