import type { Random } from './seed.ts';

/** A CheckRequest for protobufjs with any of its fields, every kind of address and value among them. */
export function randomCheckRequest(random: Random): { readonly [name: string]: unknown } {
  return random.chance(0.02) ? {} : { attributes: attributes(random) };
}

/** A request that claims all that only a believed caller may. */
export const CLAIMING_REQUEST = {
  attributes: {
    source: {
      address: { socketAddress: { address: '10.0.0.1', portValue: 45_123 } },
      principal: 'spiffe://td/client',
      certificate: '-----BEGIN%20CERTIFICATE-----',
      labels: { app: 'a' },
    },
    destination: { address: { pipe: { path: '/run/x.sock', mode: 0o660 } }, principal: 'spiffe://td/gateway' },
    request: {
      time: { seconds: 1_700_000_000, nanos: 5 },
      http: {
        id: '1',
        method: 'POST',
        path: '/tenant-a/llama-3-8b/infer?x=1',
        host: 'gateway.test',
        scheme: 'https',
        protocol: 'HTTP/2',
        size: 2,
        headers: {
          ':path': '/tenant-a/llama-3-8b/infer?x=1',
          authorization: `Bearer ${'a'.repeat(300)}`,
          'content-type': 'application/json',
          'x-envoy-auth-partial-body': 'false',
          'x-forwarded-client-cert': 'URI=spiffe://td/client',
        },
        rawBody: Buffer.from('{}'),
      },
    },
    contextExtensions: { 'sallyport.decision': 'legacy' },
    metadataContext: { filterMetadata: { m: { fields: { a: { numberValue: 1 } } } } },
    routeMetadataContext: { typedFilterMetadata: { t: { type_url: 'x', value: Buffer.from('y') } } },
    tlsSession: { sni: 'gateway.test' },
  },
} as const;

type Fields = { [name: string]: unknown };

function attributes(random: Random): Fields {
  return some(random, {
    source: () => peer(random),
    destination: () => peer(random),
    request: () => some(random, { time: () => timestamp(random), http: () => http(random) }),
    contextExtensions: () => textMap(random),
    metadataContext: () => metadata(random),
    routeMetadataContext: () => metadata(random),
    tlsSession: () => some(random, { sni: () => text(random) }),
  });
}

function http(random: Random): Fields {
  const fields = some(random, {
    size: () => random.pick([0, 1, -1, 2 ** 40, Number.MAX_SAFE_INTEGER]),
    headers: () => textMap(random),
    rawBody: () => random.bytes(random.below(40)),
    headerMap: () => ({
      headers: list(random, () =>
        some(random, {
          key: () => text(random),
          value: () => text(random),
          rawValue: () => random.bytes(random.below(9)),
        }),
      ),
    }),
  });
  for (const name of ['id', 'method', 'path', 'host', 'scheme', 'query', 'fragment', 'protocol', 'body']) {
    if (random.chance(0.6)) fields[name] = text(random);
  }
  return fields;
}

function peer(random: Random): Fields {
  return some(random, {
    address: () => address(random),
    service: () => text(random),
    labels: () => textMap(random),
    principal: () => text(random),
    certificate: () => text(random),
  });
}

function address(random: Random): Fields {
  switch (random.below(4)) {
    case 0:
      return { pipe: some(random, { path: () => text(random), mode: () => random.below(512) }) };
    case 1:
      return {
        envoyInternalAddress: some(random, { serverListenerName: () => text(random), endpointId: () => text(random) }),
      };
    case 2:
      return {};
    default:
      return {
        socketAddress: {
          ...some(random, {
            protocol: () => random.below(2),
            address: () => text(random),
            resolverName: () => text(random),
            ipv4Compat: () => random.chance(0.5),
            networkNamespaceFilepath: () => text(random),
          }),
          ...random.pick([{}, { portValue: random.pick([0, 80, 2 ** 32 - 1]) }, { namedPort: text(random) }]),
        },
      };
  }
}

function timestamp(random: Random): Fields {
  return { seconds: random.pick([0, 1_700_000_000, -1]), nanos: random.pick([0, 5, -1]) };
}

function metadata(random: Random): Fields {
  return some(random, {
    filterMetadata: () => map(random, () => struct(random, 3)),
    typedFilterMetadata: () =>
      map(random, () => some(random, { typeUrl: () => text(random), value: () => random.bytes(5) })),
  });
}

function struct(random: Random, depth: number): Fields {
  return { fields: map(random, () => value(random, depth)) };
}

function value(random: Random, depth: number): Fields {
  switch (random.below(depth > 0 ? 7 : 5)) {
    case 0:
      return { nullValue: 0 };
    case 1:
      return { numberValue: random.pick([0, -0, 1.5, 1e21, Number.NaN, Number.POSITIVE_INFINITY, random.next()]) };
    case 2:
      return { stringValue: text(random) };
    case 3:
      return { boolValue: random.chance(0.5) };
    case 4:
      return {};
    case 5:
      return { structValue: struct(random, depth - 1) };
    default:
      return { listValue: { values: list(random, () => value(random, depth - 1)) } };
  }
}

const TEXTS = [
  '',
  'a',
  'GET',
  '/a?b=c',
  'constructor',
  'length',
  'é',
  '😀',
  '\u0000',
  'x'.repeat(63),
  'y'.repeat(64),
  `${'z'.repeat(200)}é`,
];

function text(random: Random): string {
  return random.chance(0.7) ? random.pick(TEXTS) : random.next().toString(36);
}

function textMap(random: Random): Fields {
  return map(random, () => text(random));
}

function map(random: Random, make: () => unknown): Fields {
  return Object.fromEntries(list(random, () => [text(random), make()] as const));
}

function list<T>(random: Random, make: () => T): T[] {
  return Array.from({ length: random.below(4) }, make);
}

/** Each field with a chance of two in three. */
function some(random: Random, fields: { readonly [name: string]: () => unknown }): Fields {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, make]) => (random.chance(0.67) ? [[name, make()] as const] : [])),
  );
}
