import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../src/decision/ports.ts';
import { accessRequest, inspected, tenantA } from '../../support/core.ts';
import { eventOf } from '../../support/events.ts';
import { denyOutcome } from '../../support/outcome.ts';

const HEADER = 'eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0';
const PAYLOAD = 'eyJzdWIiOiJhbGljZSIsImF1ZCI6ImFwaSJ9';
const SIGNATURE = 'MEUCIQDc0FfeeCanaryCanaryCanary0123456789abcdef';
const JWT = `${HEADER}.${PAYLOAD}.${SIGNATURE}`;

function withPath(path: string, headerList: readonly [string, string][], more: Partial<Outcome> = {}): Outcome {
  return denyOutcome('policy_denied', {
    request: accessRequest({ headerList }),
    inspected: inspected({ path }),
    ...more,
  });
}

function loggedPath(path: string, headerList: readonly [string, string][]): unknown {
  return (eventOf(withPath(path, headerList)).input['request'] as { path: unknown }).path;
}

const encoded = (text: string): string => [...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('');

describe('a credential of this request never stands in its event', () => {
  test.each<[string, readonly [string, string][], string, string]>([
    ['the token', [['authorization', `Bearer ${JWT}`]], `/a/${JWT}/b`, '/a/[masked]/b'],
    ['the token’s payload', [['authorization', `Bearer ${JWT}`]], `/a/${PAYLOAD}/b`, '/a/[masked]/b'],
    ['its signature twice', [['authorization', `bearer ${JWT}`]], `/${SIGNATURE}/${SIGNATURE}`, '/[masked]/[masked]'],
    ['a half of its signature', [['authorization', `Bearer ${JWT}`]], `/${SIGNATURE.slice(0, 30)}`, '[masked]'],
    ['the token in lower case', [['authorization', `Bearer ${JWT}`]], `/${JWT.toLowerCase()}`, '/[masked]'],
    ['the token percent-encoded', [['authorization', `Bearer ${JWT}`]], `/${encoded(JWT)}`, '[masked]'],
    ['the token encoded twice', [['authorization', `Bearer ${JWT}`]], `/${encoded(encoded(JWT))}`, '[masked]'],
    ['a short token', [['authorization', 'Bearer s3cret']], '/a/s3cret', '/a/[masked]'],
    ['a token without a scheme', [['authorization', 's3cret-token']], '/a/s3cret-token', '/a/[masked]'],
    [
      'the second of joined headers',
      [['authorization', 'Bearer first-one,Bearer second-one']],
      '/second-one',
      '/[masked]',
    ],
    ['a Basic password', [['authorization', 'Basic YWxpY2U6aHVudGVyMg==']], '/a/hunter2', '/a/[masked]'],
    ['a proxy’s credential', [['proxy-authorization', 'Bearer proxy-secret']], '/proxy-secret', '/[masked]'],
    ['an API key', [['x-api-key', 'sk-1234567']], '/sk-1234567', '/[masked]'],
    ['a DPoP proof', [['dpop', JWT]], `/a/${JWT}/b`, '/a/[masked]/b'],
    [
      'a DPoP proof beside its token',
      [
        ['authorization', 'DPoP the-token'],
        ['dpop', JWT],
      ],
      `/${SIGNATURE}/the-token`,
      '/[masked]/[masked]',
    ],
    [
      'a cookie',
      [['cookie', 'a=b; session=abcdefghij; c="quoted-one"']],
      '/abcdefghij/quoted-one',
      '/[masked]/[masked]',
    ],
    ['an encoded cookie', [['cookie', 'session=abc%2Fdef%2Fghi']], '/abc/def/ghi', '/[masked]'],
    [
      'a token that the path’s cut would halve',
      [['authorization', `Bearer ${JWT}`]],
      `/${'a'.repeat(470)}/${JWT}`,
      `/${'a'.repeat(470)}/[masked]`,
    ],
  ])('%s', (_, headers, path, logged) => {
    expect(loggedPath(path, headers)).toBe(logged);
    expect(eventOf(withPath(path, headers)).masked).toEqual(['/input/request/path']);
  });

  test('in whatever text the caller or a token chose', () => {
    const event = eventOf(
      withPath('/a', [['authorization', `Bearer ${JWT}`]], {
        cause: `the token \`${JWT.slice(0, 64)}\` is refused`,
        principal: { ...tenantA, subject: JWT, roles: ['analyst', JWT] },
        request: accessRequest({ headerList: [['authorization', `Bearer ${JWT}`]], requestId: JWT, method: JWT }),
      }),
    );
    expect(JSON.stringify(event)).not.toMatch(/eyJ|Canary/i);
    expect(event.masked).toEqual([
      '/input/request/method',
      '/input/identity/subject',
      '/input/identity/roles/1',
      '/error/message',
      '/request_id',
    ]);
  });

  test('also one that only the identity step knew to be a credential', () => {
    const principal = {
      ...tenantA,
      credentials: [{ kind: 'api_key' as const, header: 'x-team-key', presented: 'team-secret' }],
    };
    const request = accessRequest({ headerList: [['x-team-key', 'team-secret']] });
    const event = eventOf(withPath('/a/team-secret', [], { principal, request }));
    expect(JSON.stringify(event)).not.toContain('team-secret');
  });

  test('a request with more credentials than can be searched for has all its texts masked', () => {
    const cookies = Array.from({ length: 1_000 }, (_, i) => `c${i}=value-number-${i}`).join('; ');
    const event = eventOf(withPath('/a/value-number-999', [['cookie', cookies]]));
    expect(event.input['request']).toMatchObject({ path: '[masked]', method: '[masked]' });
    expect(event.input['route']).toMatchObject({ name: 'infer' });
  });
});

test('a search that would take too long is not made: the text is masked', () => {
  const huge = `Bearer ${'ab1'.repeat(5_000)}`;
  const event = eventOf(withPath(`/${'xyz'.repeat(300)}`, [['authorization', huge]]));
  expect(event.input['request']).toMatchObject({ path: '[masked]', method: 'POST' });
});

describe('what is no credential stays readable', () => {
  test.each<[string, readonly [string, string][], string]>([
    ['no credential', [], '/tenant-a/llama-3-8b/infer'],
    ['another text than the token', [['authorization', `Bearer ${JWT}`]], '/tenant-a/llama-3-8b/infer?'],
    ['the name of the scheme', [['authorization', 'Bearer xyzzy-1']], '/bearer/basic/a'],
    ['very short cookies', [['cookie', 'a=1; lang=en']], '/en/1/tenant'],
    [
      'a path that is also in a longer cookie',
      [['cookie', 'last=/tenant-a/llama-3-8b/infer/more']],
      '/tenant-a/llama-3-8b/infer',
    ],
    ['an escape', [['authorization', `Bearer ${JWT}`]], '/a%20b%zz%'],
  ])('%s', (_, headers, path) => {
    expect(loggedPath(path, headers)).toBe(path);
  });

  test('the route’s name, also when a caller presents it as a credential', () => {
    const event = eventOf(
      withPath('/a', [['authorization', 'Bearer infer-route']], {
        inspected: inspected({ route: { name: 'infer-route', params: {}, requiredLimits: [] } }),
      }),
    );
    expect(event.input['route']).toEqual({ name: 'infer-route' });
  });
});
