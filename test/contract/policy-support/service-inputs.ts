import { isArray, isObject, objectOf, sortedEntries } from '../../../src/policy/values/object.ts';
import type { Value } from '../../../src/policy/values/value.ts';
import type { Random } from '../../support/seed.ts';
import { randomText, randomValue } from './rego-literals.ts';

/** An `input` as the service makes it, of what the shipped policies and the fixtures look at: often a near miss. */
export function serviceInput(random: Random): Value {
  const pick = (...texts: readonly string[]): string => (random.chance(0.1) ? randomText(random) : random.pick(texts));
  const tenant = pick('tenant-a', 'tenant-b', 'a');
  const input = {
    request: {
      method: pick('GET', 'POST', 'OPTIONS'),
      path: `/${randomText(random)}/${randomText(random)}`,
      host: pick('api.example', 'model-server'),
      size: random.chance(0.2) ? { known: false } : { known: true, bytes: randomValue(random, 'number', 0, true) },
    },
    route: random.chance(0.1)
      ? null
      : {
          name: pick('infer', 'chat', 'model-server', 'predict', 'chat-preflight', 'admin'),
          tenant: random.chance(0.8) ? tenant : pick('tenant-b'),
          model: pick('llama-3-8b', 'mistral-7b', 'llama', 'deep'),
          operation: pick('infer', 'chat', 'preflight', 'embed'),
        },
    identity: {
      kind: pick('jwt', 'api_key', 'mtls', 'anonymous'),
      tenant,
      tier: pick('free', 'premium', 'internal', 'gold'),
      subject: pick('alice', 'bob'),
      key_id: pick('k1', 'k2'),
      issuer: pick('https://issuer.test', 'x'),
      roles: Array.from({ length: random.below(4) }, () => pick('admin', 'analyst', 'reader', 'r1', 'r2')),
      models: Array.from({ length: random.below(3) }, () => pick('llama-3-8b', 'mistral-7b')),
      claims: randomValue(random, 'object', 3, true),
    },
    peer: random.chance(0.4)
      ? null
      : { spiffe_id: pick('spiffe://td/pre-processor', 'x'), dns_sans: [randomText(random)] },
    network: { client_ip: pick('192.0.2.1', '2001:db8::1'), country: pick('DE', 'XX'), asn: 3 },
    inference: {
      model: pick('deep', 'llama-3-8b'),
      max_tokens: randomValue(random, 'number', 0, true),
      candidates: randomValue(random, 'number', 0, true),
      estimated_prompt_tokens: randomValue(random, 'number', 0, true),
    },
    quota: { plan: pick('basic', 'free') },
    parsed_body: randomValue(random, 'any', 3, true),
    parsed_path: [pick('v1', 'v2')],
  };
  return disturbed(random, input, 0.04);
}

/** The same value with parts gone, of another kind, or under hostile keys. */
export function disturbed(random: Random, value: Value, chance: number): Value {
  if (random.chance(chance / 4)) return randomValue(random, 'any', 2, true);
  if (typeof value === 'string') return random.chance(chance) ? randomText(random) : value;
  if (typeof value === 'number') return random.chance(chance) ? randomValue(random, 'number', 0, true) : value;
  if (isArray(value)) return value.map((item) => disturbed(random, item, chance));
  if (!isObject(value)) return value;
  const members = sortedEntries(value)
    .filter(() => !random.chance(chance / 3))
    .map(([key, member]): [Value, Value] => [key, disturbed(random, member, chance)]);
  if (random.chance(chance / 2)) members.push([randomText(random), randomValue(random, 'any', 2, true)]);
  return objectOf(members);
}
