import type { ConfigFault } from './config-fault.ts';

/** `identity.mtls`: who may prove himself by a client certificate. */
export interface MtlsConfig {
  /** Without one no SPIFFE ID is believed, whatever certificate authority signed it. */
  readonly trust_domains: readonly string[];
  readonly xfcc?: XfccConfig;
  /** Whether the certificate that a door's own TLS listener verified is the caller's identity. */
  readonly from_listener: boolean;
}

/** Whose `x-forwarded-client-cert` is read, walked from the right. */
export interface XfccConfig {
  /** SPIFFE IDs of the proxies that may name the hop before them. */
  readonly trusted_peers: readonly string[];
  /** The URIs that are ours in `By=`, beside the trusted peer's own ID. */
  readonly by?: readonly string[];
}

/** JSON Schema of `identity.mtls`. */
export const mtlsConfigSchema = {
  type: 'object',
  description:
    'Client certificates: the peer that the gateway names, believed only from a caller that may be believed.',
  additionalProperties: false,
  required: ['trust_domains'],
  properties: {
    trust_domains: {
      type: 'array',
      minItems: 1,
      maxItems: 64,
      uniqueItems: true,
      items: { type: 'string', pattern: '^[a-z0-9._-]{1,255}$' },
      description: 'The SPIFFE trust domains whose IDs are believed, such as `prod.example`.',
    },
    xfcc: {
      type: 'object',
      description: 'Reads `x-forwarded-client-cert`; without it the header is never looked at.',
      additionalProperties: false,
      required: ['trusted_peers'],
      properties: {
        trusted_peers: {
          type: 'array',
          minItems: 1,
          maxItems: 256,
          uniqueItems: true,
          items: { type: 'string', maxLength: 2048 },
          description: 'SPIFFE IDs of the proxies that are believed about the hop before them.',
        },
        by: {
          type: 'array',
          minItems: 1,
          maxItems: 64,
          uniqueItems: true,
          items: { type: 'string', minLength: 1, maxLength: 2048 },
          description: 'The URIs of our own gateways: the last element must name one of them in `By=`.',
        },
      },
    },
    from_listener: {
      type: 'boolean',
      default: false,
      description: 'Whether the certificate shown to a door of Sallyport is itself the identity of the caller.',
    },
  },
} as const;

/** What the schema cannot say: SPIFFE IDs that are none, or of a domain that is not trusted. */
export function checkMtlsConfig(config: MtlsConfig): readonly ConfigFault[] {
  const { trust_domains: trustDomains, xfcc } = config;
  const path = 'identity.mtls';
  const faults: ConfigFault[] = [];
  for (const [index, peer] of (xfcc?.trusted_peers ?? []).entries()) {
    const trustDomain = SPIFFE_ID.exec(peer)?.[1];
    const at = `${path}.xfcc.trusted_peers[${index}]`;
    if (trustDomain === undefined || /\/\.{1,2}(?:\/|$)/.test(peer)) {
      faults.push({ path: at, message: `\`${peer}\` is no SPIFFE ID: write \`spiffe://trust-domain/path\`` });
    } else if (!trustDomains.includes(trustDomain)) {
      faults.push({ path: at, message: `\`${trustDomain}\` is none of \`identity.mtls.trust_domains\`: add it there` });
    }
  }
  if (config.from_listener && xfcc !== undefined) {
    faults.push({
      path: `${path}.from_listener`,
      message: 'excludes `xfcc`: behind a gateway whoever has no certificate would be taken for the gateway',
    });
  }
  for (const [index, uri] of (xfcc?.by ?? []).entries()) {
    if (URL.parse(uri) === null) {
      faults.push({
        path: `${path}.xfcc.by[${index}]`,
        message: `\`${uri}\` is no URI: write the gateway's own, such as \`spiffe://trust-domain/gateway\``,
      });
    }
  }
  return faults;
}

/** SPIFFE ID, sections 2.1 and 2.2. */
const SPIFFE_ID = /^spiffe:\/\/([a-z0-9._-]{1,255})(?:\/[A-Za-z0-9._-]{1,255}){1,32}$/;
