import type { JsonValue } from '../../src/decision/json.ts';

/** Data of the tenant policy beside the contract tests. */
export const TENANT_DATA = {
  catalog: {
    roles: { operator: ['infer', 'embed'], reader: ['list'] },
    tiers: {
      premium: { max_bytes: 1_000_000, requests_per_minute: 600 },
      free: { max_bytes: 10_000, requests_per_minute: 10 },
    },
    models: { 'llama-3-8b': { tiers: ['free', 'premium'] }, 'mistral-7b': { tiers: ['premium'] } },
  },
};

/** What that policy is asked about: members of `input` as the service gives them; it allows this for every tenant. */
export function tenantInput(tenant: string): { readonly [member: string]: JsonValue } {
  return {
    request: {
      method: 'POST',
      path: `/${tenant}/llama-3-8b/infer`,
      host: 'api.example.com',
      scheme: 'https',
      content_type: 'application/json',
      size: { known: true, bytes: 1_234 },
    },
    route: { name: 'infer', tenant, model: 'llama-3-8b', operation: 'infer', params: { tenant } },
    identity: {
      kind: 'jwt',
      subject: 'user-1',
      issuer: 'https://issuer.example.com',
      tenant,
      tier: 'premium',
      roles: ['operator', 'reader'],
      scopes: ['inference'],
      claims: { sub: 'user-1', tenant, roles: ['operator', 'reader'], iat: 1_700_000_000, exp: 1_700_000_600 },
      credentials: [{ kind: 'jwt', issuer: 'https://issuer.example.com' }],
    },
    network: { client_ip: '192.0.2.7' },
    inference: { model: 'llama-3-8b', stream: false, max_tokens: 256, message_count: 3 },
  };
}
