import { describe, expect, it } from 'vitest';
import { payloadSize } from '../../../src/inspection/payload-size.ts';
import { isUpgrade } from '../../../src/inspection/upgrade.ts';
import { accessRequest, CHAT, codeOf, INFER, inspect, type RequestParts } from './access-requests.ts';

const known = (bytes: number) => ({ known: true, bytes });
const atLeast = (bytes: number) => ({ known: false, at_least: bytes });
const MALFORMED = { kind: 'refusal', code: 'malformed_request' };
const length = (value: string): readonly [string, string] => ['content-length', value];
const CHUNKED = ['transfer-encoding', 'chunked'] as const;

describe('payloadSize', () => {
  it.each<[string, RequestParts, object]>([
    ['nothing said of a body', {}, atLeast(0)],
    ['bytes that nobody vouches for', { body: 'abc' }, atLeast(3)],
    ['a whole body', { body: 'abc', complete: true }, known(3)],
    ['a whole empty body', { complete: true }, known(0)],
    ['a whole chunked body', { body: 'abc', complete: true, headers: [CHUNKED] }, known(3)],
    ['a whole body of the declared length', { body: 'abc', complete: true, declaredLength: 3 }, known(3)],
    ['a partial body', { body: 'abc', complete: false }, atLeast(3)],
    ['a partial body with a declared length', { body: 'abc', complete: false, declaredLength: 200 }, atLeast(200)],
    ['a declared length without body', { declaredLength: 200, headers: [length('200')] }, known(200)],
    ['a declared length of none', { declaredLength: 0 }, known(0)],
    ['a chunked body', { headers: [CHUNKED] }, atLeast(0)],
    ['a chunked body in capitals', { headers: [['transfer-encoding', 'Chunked']] }, atLeast(0)],
    ["the check's own length over HTTP", { headers: [length('0')] }, atLeast(0)],
    ['a body longer than declared', { body: 'abcd', declaredLength: 3 }, MALFORMED],
    ['a whole body shorter than declared', { body: 'ab', complete: true, declaredLength: 3 }, MALFORMED],
    ['a partial body longer than declared', { body: 'abcd', complete: false, declaredLength: 3 }, MALFORMED],
    ['a malformed declared length', { declaredLength: 'malformed' }, MALFORMED],
    ['a length in words', { headers: [length('x')] }, MALFORMED],
    ['an empty length', { headers: [length('')] }, MALFORMED],
    ['a negative length', { headers: [length('-1')] }, MALFORMED],
    ['a signed length', { headers: [length('+1')] }, MALFORMED],
    ['a hexadecimal length', { headers: [length('0x1')] }, MALFORMED],
    ['a fractional length', { headers: [length('1.0')] }, MALFORMED],
    ['a length in other digits', { headers: [length('\u0661')] }, MALFORMED],
    ['a length beyond exact integers', { headers: [length('9007199254740993')] }, MALFORMED],
    ['two lengths', { headers: [length('3'), length('3')] }, MALFORMED],
    ['joined lengths', { headers: [length('3,3')] }, MALFORMED],
    ['chunked and a length', { headers: [CHUNKED, length('3')] }, MALFORMED],
    ['chunked twice', { headers: [CHUNKED, CHUNKED] }, MALFORMED],
    ['two codings', { headers: [['transfer-encoding', 'gzip, chunked']] }, MALFORMED],
    ['another coding', { headers: [['transfer-encoding', 'xchunked']] }, MALFORMED],
    ['chunked with a tab', { headers: [['transfer-encoding', '\u000bchunked']] }, MALFORMED],
    ['partial twice', { headers: [['x-envoy-auth-partial-body', 'false,true']] }, MALFORMED],
  ])('reads %s', (_, parts, wanted) => {
    expect(payloadSize(accessRequest(parts), false)).toMatchObject(wanted);
  });

  it('never knows the size of what an upgrade will send', () => {
    expect(payloadSize(accessRequest({ complete: true, declaredLength: 0 }), true)).toEqual(atLeast(0));
    expect(payloadSize(accessRequest({ declaredLength: 7 }), true)).toEqual(atLeast(7));
  });
});

describe('a route that limits the size', () => {
  const infer = { method: 'POST', target: '/tenant-a/llama-3-8b/infer' };

  it.each<[string, RequestParts, string]>([
    ['a body at the limit', { body: 'x'.repeat(1000), complete: true }, 'inspected'],
    ['a declared length at the limit', { declaredLength: 1000 }, 'inspected'],
    ['a body over it', { body: 'x'.repeat(1001), complete: true }, 'payload_too_large'],
    ['a declared length over it', { declaredLength: 1001 }, 'payload_too_large'],
    ['a part that is over it already', { body: 'x'.repeat(1001), complete: false }, 'payload_too_large'],
    ['a partial body that declares more', { body: 'x', complete: false, declaredLength: 1001 }, 'payload_too_large'],
    ['a part below it', { body: 'x', complete: false }, 'payload_size_unknown'],
    ['an unknown size', {}, 'payload_size_unknown'],
    ['a chunked body', { headers: [CHUNKED] }, 'payload_size_unknown'],
    ['a lie', { body: 'xyz', complete: true, declaredLength: 2 }, 'malformed_request'],
  ])('meets %s', (_, parts, wanted) => {
    expect(codeOf(inspect({ ...infer, ...parts }))).toBe(wanted);
  });

  it('leaves a route without a limit alone', () => {
    const routes = [{ name: 'open', path: '/open', methods: ['POST'] }];
    expect(codeOf(inspect({ method: 'POST', target: '/open' }, { routes }))).toBe('inspected');
  });

  it('binds no request that needs no route and has none', () => {
    expect(inspect({ target: '/x', body: 'abc' }, { routing: 'optional' })).toMatchObject({
      kind: 'inspected',
      route: null,
      size: atLeast(3),
    });
  });

  it('binds a request that needs no route but has one', () => {
    expect(codeOf(inspect({ ...infer, declaredLength: 1001 }, { routing: 'optional' }))).toBe('payload_too_large');
  });
});

describe('upgrades', () => {
  const OPEN = { name: 'live', path: '/live', methods: ['GET', 'CONNECT'], upgrade: true };
  const SHUT = { name: 'shut', path: '/shut', methods: ['GET', 'CONNECT'] };
  const routes = [INFER, CHAT, OPEN, SHUT];

  it.each<[string, RequestParts]>([
    [
      'by both headers',
      {
        headers: [
          ['upgrade', 'websocket'],
          ['connection', 'Upgrade'],
        ],
      },
    ],
    ['by `upgrade` alone', { headers: [['upgrade', 'websocket']] }],
    ['by an empty `upgrade`', { headers: [['upgrade', '']] }],
    ['by `connection` alone', { headers: [['connection', 'keep-alive, uPgRaDe']] }],
    [
      'by a second `connection`',
      {
        headers: [
          ['connection', 'close'],
          ['connection', 'upgrade'],
        ],
      },
    ],
    ['by CONNECT', { method: 'CONNECT' }],
  ])('are denied %s unless the route declares them', (_, parts) => {
    expect(inspect({ target: '/shut', ...parts }, { routes })).toMatchObject({
      code: 'upgrade_not_declared',
      dependsOnRoute: true,
      route: 'shut',
    });
    expect(inspect({ target: '/live', complete: true, ...parts }, { routes })).toMatchObject({
      kind: 'inspected',
      size: atLeast(0),
    });
  });

  it('are not seen in other connection options', () => {
    expect(isUpgrade(accessRequest({ headers: [['connection', 'keep-alive, x-upgrade-insecure']] }))).toBe(false);
  });

  it('are denied as tunnels, whose target is no path', () => {
    expect(inspect({ method: 'CONNECT', target: 'h:443' }, { routes })).toMatchObject({
      code: 'upgrade_not_declared',
      dependsOnRoute: false,
    });
  });
});
