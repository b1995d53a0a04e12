import { describe, expect, it } from 'vitest';
import type { Credential, Peer, Principal } from '../../../src/decision/principal.ts';
import { CatalogError } from '../../../src/inspection/catalog-error.ts';
import { createInspector } from '../../../src/inspection/inspector.ts';
import { compileRoutes } from '../../../src/inspection/route-table.ts';
import { accessRequest, codeOf, INFER, type RequestParts, STRICT } from './access-requests.ts';

const PEER: Peer = { spiffeId: 'spiffe://mesh/a', dnsSans: [] };

function caller(kinds: readonly Credential['kind'][], tier?: string): Principal {
  return {
    kind: kinds[0] ?? 'jwt',
    roles: [],
    scopes: [],
    claims: {},
    credentials: kinds.map((kind) => ({ kind })),
    demo: false,
    ...(tier === undefined ? {} : { tier }),
  };
}

function ask(
  route: object,
  principal: Principal | undefined,
  {
    peer = null,
    routing = 'required',
    ...parts
  }: RequestParts & { readonly peer?: Peer | null; readonly routing?: 'required' | 'optional' } = {},
) {
  const inspector = createInspector({
    catalog: { routes: [{ ...INFER, ...route }] },
    network: { trusted_hops: 0 },
    compatibility: STRICT,
  });
  const request = { method: 'POST', target: '/tenant-a/llama-3-8b/infer', body: '{}', complete: true, ...parts };
  return inspector(accessRequest(request), principal, peer, routing);
}

describe('the keys of a route', () => {
  it.each<[string, object, string]>([
    [
      'an unknown dialect',
      { body: 'json', dialect: 'openai' },
      'dialect is none of `openai_chat`, `openai_completions`, `openai_embeddings`, `openai_responses`, `anthropic_messages`, `kserve_v2`',
    ],
    [
      'an inherited dialect',
      { body: 'json', dialect: 'constructor' },
      'dialect is none of `openai_chat`, `openai_completions`, `openai_embeddings`, `openai_responses`, `anthropic_messages`, `kserve_v2`',
    ],
    ['a dialect of no body', { dialect: 'kserve_v2' }, 'dialect is given but `body` is `none`'],
    [
      'another way of reading keys',
      { body: 'metadata', upstream_keys: true },
      'upstream_keys is none of `case_sensitive`, `any_case`',
    ],
    [
      'keys of a body that is sent',
      { body: 'json', upstream_keys: 'case_sensitive' },
      'upstream_keys is given but `body` is not `metadata`',
    ],
    [
      'a schema of a body that may not be sent',
      { body: 'metadata', schema: 's' },
      'schema is given but `body` is not `json`',
    ],
    ['a schema that is an object', { body: 'json', schema: {} }, 'schema is not the name of a schema'],
    [
      'an upgrade whose body is read',
      { body: 'metadata', upgrade: true },
      'upgrade cannot be true with `body: metadata`: that body is never seen',
    ],
    ['credentials as text', { credentials: 'jwt' }, 'credentials is not a list of kinds of credential'],
    ['no credentials in the list', { credentials: [] }, 'credentials is not a list of kinds of credential'],
    ['an unknown credential', { credentials: ['password'] }, 'credentials[0] is none of `api_key`, `jwt`, `mtls`'],
    ['a credential twice', { credentials: ['jwt', 'jwt'] }, 'credentials[1] names a kind twice'],
    ['bytes of no tier', { max_bytes_by_tier: {} }, 'max_bytes_by_tier is not an object of bytes by tier'],
    [
      'bytes as text',
      { max_bytes_by_tier: { free: '1' } },
      'max_bytes_by_tier.free is not an integer from 0 to 2^53 - 1',
    ],
  ])('may not be %s', (_, keys, fault) => {
    const create = () =>
      compileRoutes({ routes: [{ name: 'r', path: '/a', methods: ['POST'], ...keys }], schemas: { s: {} } });
    expect(create).toThrow(CatalogError);
    expect(create).toThrow(`\`catalog.routes[0].${fault.replace(' ', '` ')}`);
  });

  it('may not ask a preflight for credentials', () => {
    const route = { name: 'r', path: '/a', methods: ['OPTIONS'], kind: 'preflight', credentials: ['jwt'] };
    expect(() => compileRoutes({ routes: [route] })).toThrow('of a preflight route is given');
  });
});

describe('the credentials that a route asks for', () => {
  const none = undefined;
  it.each<[readonly string[] | undefined, readonly Credential['kind'][] | undefined, boolean, string]>([
    [none, none, false, 'inspected'],
    [none, ['jwt'], false, 'inspected'],
    [none, ['api_key'], true, 'inspected'],
    [none, ['api_key', 'jwt'], false, 'invalid_credential'],
    [none, ['mtls', 'jwt'], true, 'inspected'],
    [['jwt'], none, false, 'no_credential'],
    [['jwt'], none, true, 'no_credential'],
    [['jwt'], ['jwt'], false, 'inspected'],
    [['jwt'], ['api_key'], false, 'invalid_credential'],
    [['jwt'], ['api_key', 'jwt'], false, 'invalid_credential'],
    [['api_key', 'jwt'], none, false, 'no_credential'],
    [['api_key', 'jwt'], ['jwt'], false, 'invalid_credential'],
    [['api_key', 'jwt'], ['api_key'], true, 'invalid_credential'],
    [['api_key', 'jwt'], ['api_key', 'jwt'], false, 'inspected'],
    [['api_key', 'jwt'], ['jwt', 'api_key'], true, 'inspected'],
    [['api_key', 'jwt'], ['api_key', 'jwt', 'jwt'], false, 'invalid_credential'],
    [['mtls'], none, true, 'inspected'],
    [['mtls'], none, false, 'no_credential'],
    [['mtls'], ['jwt'], false, 'invalid_credential'],
    [['mtls'], ['mtls'], false, 'invalid_credential'],
    [['mtls'], ['jwt'], true, 'inspected'],
    [['mtls', 'jwt'], ['jwt'], true, 'inspected'],
    [['mtls', 'jwt'], none, true, 'no_credential'],
    [['mtls', 'api_key', 'jwt'], ['api_key', 'jwt'], true, 'inspected'],
    [['mtls', 'api_key', 'jwt'], ['api_key', 'jwt'], false, 'invalid_credential'],
  ])('%j, shown %j with a peer: %s, is %s', (credentials, shown, withPeer, wanted) => {
    const principal = shown === undefined ? undefined : caller(shown);
    const result = ask(credentials === undefined ? {} : { credentials }, principal, { peer: withPeer ? PEER : null });
    expect(codeOf(result)).toBe(wanted);
    if (result.kind === 'refused') expect(result.dependsOnRoute).toBe(true);
  });

  it('are one at most where a decision needs no route', () => {
    const elsewhere = { target: '/elsewhere', routing: 'optional' } as const;
    expect(codeOf(ask({}, caller(['jwt']), elsewhere))).toBe('inspected');
    expect(codeOf(ask({}, caller(['jwt', 'api_key']), elsewhere))).toBe('invalid_credential');
  });
});

describe('the bytes that a tier may send', () => {
  const limits = { max_bytes: 100, max_bytes_by_tier: { free: 10, premium: 1000 } };
  it.each<[string | undefined, number, string]>([
    ['free', 10, 'inspected'],
    ['free', 11, 'payload_too_large'],
    ['premium', 100, 'inspected'],
    ['premium', 101, 'payload_too_large'],
    ['other', 100, 'inspected'],
    ['other', 101, 'payload_too_large'],
    ['constructor', 101, 'payload_too_large'],
    [undefined, 101, 'payload_too_large'],
  ])('are those of the tier, within the route’s: %s, %d', (tier, bytes, wanted) => {
    expect(codeOf(ask(limits, caller(['jwt'], tier), { body: 'x'.repeat(bytes) }))).toBe(wanted);
  });

  it('hold alone, and for bodies of unknown size', () => {
    const alone = { max_bytes: undefined, max_bytes_by_tier: { free: 10 } };
    const { max_bytes: _, ...route } = { ...INFER, ...alone };
    const inspector = createInspector({
      catalog: { routes: [route] },
      network: { trusted_hops: 0 },
      compatibility: STRICT,
    });
    const send = (tier: string, complete: boolean) =>
      codeOf(
        inspector(
          accessRequest({ method: 'POST', target: '/tenant-a/llama-3-8b/infer', body: 'x', complete }),
          caller(['jwt'], tier),
          null,
          'required',
        ),
      );
    expect(send('free', true)).toBe('inspected');
    expect(send('free', false)).toBe('payload_size_unknown');
    expect(send('premium', false)).toBe('inspected');
  });
});

describe('a gateway that may send partial bodies', () => {
  const inspector = createInspector({
    catalog: { routes: [INFER] },
    network: { trusted_hops: 0, partial_bodies: true },
    compatibility: STRICT,
  });
  it.each<[string, RequestParts, string]>([
    ['calls a body whole', { complete: true }, 'payload_size_unknown'],
    ['calls a body whole that is as long as declared', { complete: true, declaredLength: 2 }, 'inspected'],
    ['says nothing beside the length', { declaredLength: 2 }, 'inspected'],
    ['sends a part', { complete: false, declaredLength: 2 }, 'payload_size_unknown'],
  ])('%s', (_, parts, wanted) => {
    const request = accessRequest({ method: 'POST', target: '/tenant-a/llama-3-8b/infer', body: '{}', ...parts });
    expect(codeOf(inspector(request, undefined, null, 'required'))).toBe(wanted);
  });
});
