import { describe, expect, it } from 'vitest';
import type { Principal } from '../../../src/decision/principal.ts';
import { createInspector } from '../../../src/inspection/inspector.ts';
import { accessRequest, CHAT, codeOf, inspect, STRICT } from './access-requests.ts';

const infer = { method: 'POST', target: '/tenant-a/llama-3-8b/infer', body: '{}', complete: true };

const ALICE: Principal = {
  kind: 'jwt',
  subject: 'alice',
  tenant: 'tenant-a',
  roles: [],
  scopes: [],
  claims: {},
  credentials: [],
  demo: false,
};

describe('createInspector', () => {
  it('has no routes without a catalogue', () => {
    const inspector = createInspector({ catalog: undefined, network: { trusted_hops: 0 }, compatibility: STRICT });
    expect(inspector(accessRequest(infer), undefined, null, 'required')).toMatchObject({
      code: 'unknown_route',
      dependsOnRoute: true,
    });
    expect(inspector(accessRequest(infer), undefined, null, 'optional')).toMatchObject({ route: null });
  });

  it('throws `CatalogError` with the place of each fault', () => {
    const create = () => inspect(infer, { routes: [{}, { ...CHAT, max_bytes: -1 }] });
    expect(create).toThrow(expect.objectContaining({ name: 'CatalogError', code: 'invalid_catalog' }));
    expect(create).toThrow('`catalog.routes[1].max_bytes` is not an integer from 0 to 2^53 - 1');
  });

  it('takes the tenant from the token where the route says so, and leaves it absent without one', () => {
    const routes = [{ name: 'me', path: '/me', methods: ['GET'], tenant: 'token' }];
    const inspector = createInspector({ catalog: { routes }, network: { trusted_hops: 0 }, compatibility: STRICT });
    const request = accessRequest({ target: '/me' });
    expect(inspector(request, ALICE, null, 'required')).toMatchObject({ route: { tenant: 'tenant-a' } });
    const anonymous = inspector(request, undefined, null, 'required');
    expect(anonymous.kind === 'inspected' && anonymous.route !== null && 'tenant' in anonymous.route).toBe(false);
  });

  it('reads no large body of a caller who has shown no credential', () => {
    const inspector = createInspector({
      catalog: { routes: [CHAT] },
      network: { trusted_hops: 0 },
      compatibility: STRICT,
    });
    const body = JSON.stringify({ model: 'llama-3-8b', messages: [], pad: 'x'.repeat(64 * 1024) });
    const headers = [['content-type', 'application/json']] as const;
    const request = accessRequest({ method: 'POST', target: '/v1/chat/completions', body, complete: true, headers });
    expect(inspector(request, undefined, null, 'required')).toMatchObject({
      code: 'payload_too_large',
      dependsOnRoute: true,
    });
    expect(inspector(request, ALICE, null, 'required')).toMatchObject({ kind: 'inspected' });
    expect(inspector(request, undefined, { spiffeId: 'spiffe://mesh/a', dnsSans: [] }, 'required')).toMatchObject({
      kind: 'inspected',
    });
  });

  it('leaves out what is unknown', () => {
    expect(Object.keys(inspect(infer))).toEqual(['kind', 'path', 'size', 'route', 'network', 'plugin']);
  });

  it.each([
    ['content-type', 'text/plain', 'application/json'],
    ['content-length', '2', '2'],
    ['transfer-encoding', 'chunked', 'chunked'],
    ['x-envoy-auth-partial-body', 'false', 'true'],
    ['host', 'a', 'a'],
  ])('refuses a repeated `%s`, apart or joined, whatever the route', (name, one, other) => {
    for (const routing of ['required', 'optional'] as const) {
      for (const headers of [
        [
          [name, one],
          [name, other],
        ],
        [[name, `${one},${other}`]],
      ] as const) {
        const result = inspect({ ...infer, headers: headers as readonly (readonly [string, string])[] }, { routing });
        expect(result).toMatchObject({ kind: 'refused', code: 'malformed_request', dependsOnRoute: false });
      }
    }
  });

  it.each(['text', 'text/', '/json', 'a b/c', 'text/plain; x', 'text/plain; x=1; x=2', 'text/plain x', '\u0000'])(
    'refuses the malformed content type %j',
    (type) => {
      expect(codeOf(inspect({ ...infer, headers: [['content-type', type]] }))).toBe('malformed_request');
    },
  );

  it('leaves contradictory content headers to policies of the plugin, where both switch and decision say so', () => {
    const request = { ...infer, target: '/x', declaredLength: 1, headers: [['content-type', 'a/b,c/d']] as const };
    const ask = (routing: 'required' | 'optional', ambiguous_paths: boolean) =>
      inspect({ ...request, headers: [...request.headers] }, { routing, compatibility: { ambiguous_paths } });
    expect(ask('optional', true)).toMatchObject({ kind: 'inspected', size: { known: false, at_least: 2 } });
    expect(codeOf(ask('optional', false))).toBe('malformed_request');
    expect(codeOf(ask('required', true))).toBe('malformed_request');
  });

  it.each(['x_sallyport_tenant', 'x-sallyport_role', 'x_sallyport-upstream', 'x-sallyport_decision_id'])(
    'refuses %s, which some upstreams read as a header of ours',
    (name) => {
      for (const routing of ['required', 'optional'] as const) {
        expect(inspect({ ...infer, headers: [[name, 'tenant-b']] }, { routing })).toMatchObject({
          code: 'malformed_request',
          dependsOnRoute: false,
        });
      }
      expect(codeOf(inspect({ ...infer, headers: [['x_other_tenant', 'b']] }))).toBe('inspected');
    },
  );

  it('is not moved by headers that it does not read', () => {
    const plain = JSON.stringify(inspect(infer));
    const headers = [
      ...['x-original-url', 'x-rewrite-url', 'x-forwarded-host', 'x-forwarded-prefix', 'x-http-method-override'],
      ...['x-envoy-original-path', 'x-sallyport-tenant', 'x-tenant', 'forwarded', 'x-real-ip', 'x-forwarded-for', 'te'],
    ].map((name) => [name, '/tenant-b/llama-3-8b/infer'] as const);
    for (const header of headers)
      expect(JSON.stringify(inspect({ ...infer, headers: [header] })), header[0]).toBe(plain);
  });
});
