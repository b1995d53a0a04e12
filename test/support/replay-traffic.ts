import { toAccessRequest } from '../../src/cases/to-access-request.ts';
import type { AccessRequest } from '../../src/decision/access-request.ts';
import type { Authentication, Peer, Principal } from '../../src/decision/principal.ts';
import type { Random } from './seed.ts';

/** Tokens, API keys, peers, nobody, and credentials that do not hold. */
export function drawCaller(random: Random): Authentication {
  const peer = random.chance(0.2) ? drawPeer(random) : null;
  const drawn = random.next();
  if (drawn < 0.03) return { kind: 'refused', code: 'invalid_credential', cause: 'expired' };
  if (drawn < 0.1) return { kind: 'anonymous', peer, stripHeaders: [] };
  const isKey = drawn < 0.3;
  const principal: Principal = {
    kind: isKey ? 'api_key' : 'jwt',
    subject: `user-${random.below(40)}`,
    ...(isKey ? { keyId: `key-${random.below(40)}` } : { issuer: 'https://issuer.test' }),
    ...(isKey && random.chance(0.5) ? { models: [random.pick(['llama-3-8b', 'mistral-7b'])] } : {}),
    tenant: random.pick(['tenant-a', 'tenant-a', 'tenant-b', 'tenant-c']),
    ...(random.chance(0.03) ? {} : { tier: random.pick(['free', 'premium', 'internal']) }),
    roles: random.chance(0.3) ? ['batch'] : [],
    scopes: [],
    claims: { team: 'research' },
    credentials: [],
    demo: false,
  };
  return { kind: 'verified', principal, peer, stripHeaders: [] };
}

function drawPeer(random: Random): Peer {
  if (random.chance(0.2)) return { dnsSans: [], subject: 'CN=batch,O=test' };
  if (random.chance(0.5)) {
    return { spiffeId: 'spiffe://mesh.test/ns/a/sa/gateway', trustDomain: 'mesh.test', dnsSans: ['gateway.test'] };
  }
  return { dnsSans: ['batch.test'] };
}

/** Of the shipped routes, and of none; bodies of all sizes about the bounds of a tier. */
export function drawRequest(random: Random): AccessRequest {
  const model = random.pick(['llama-3-8b', 'mistral-7b', 'gpt-unknown']);
  const tenant = random.pick(['tenant-a', 'tenant-b']);
  const drawn = random.next();
  if (drawn < 0.45) return toRequest(random, 'POST', '/v1/chat/completions', chatBody(random, model));
  if (drawn < 0.85) return toRequest(random, 'POST', `/${tenant}/${model}/infer`, infer(random));
  if (drawn < 0.88) return toRequest(random, 'GET', `/${tenant}/${model}/infer`, '');
  if (drawn < 0.93) return toRequest(random, 'OPTIONS', '/v1/chat/completions', '');
  if (drawn < 0.95) return toRequest(random, 'POST', '/no/such', '');
  if (drawn < 0.97) return toRequest(random, 'POST', `/${tenant}/../${model}/infer`, '');
  return toRequest(random, 'POST', '/v1/chat/completions', '{"model":');
}

function chatBody(random: Random, model: string): string {
  return JSON.stringify({
    model,
    messages: [{ role: 'user', content: 'x'.repeat(random.below(4_000)) }],
    ...(random.chance(0.5) ? { max_tokens: 1 + random.below(9_000) } : {}),
    ...(random.chance(0.2) ? { n: 1 + random.below(4) } : {}),
    ...(random.chance(0.3) ? { stream: random.chance(0.5) } : {}),
  });
}

function infer(random: Random): string {
  return random.chance(0.05) ? 'x'.repeat(59_000 + random.below(8_000)) : '{"prompt":"hello"}';
}

function toRequest(random: Random, method: string, target: string, text: string): AccessRequest {
  const body = new TextEncoder().encode(text);
  return toAccessRequest({
    door: 'ext_authz_grpc',
    method,
    target,
    host: 'gateway.test',
    scheme: 'https',
    headers: [
      ...(text === '' ? [] : [['content-type', 'application/json'] as const]),
      ...(method === 'OPTIONS' && random.chance(0.8)
        ? [['origin', 'https://app.test'] as const, ['access-control-request-method', 'POST'] as const]
        : []),
    ],
    body,
    complete: true,
    declaredLength: body.length,
    address: `192.0.2.${1 + random.below(60)}`,
  });
}
