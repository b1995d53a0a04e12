import { readFileSync } from 'node:fs';
import { type ApiKeysConfig, apiKeysConfigSchema, checkApiKeysConfig } from './config-api-keys.ts';
import type { ConfigFault, ReadConfigFile } from './config-fault.ts';
import { checkJwtConfig, type JwtConfig, jwtConfigSchema } from './config-jwt.ts';
import { checkMtlsConfig, type MtlsConfig, mtlsConfigSchema } from './config-mtls.ts';
import {
  checkDpopConfig,
  checkIntrospectionConfig,
  checkTokenExchangeConfig,
  type DpopConfig,
  dpopConfigSchema,
  type IntrospectionConfig,
  introspectionConfigSchema,
  type TokenExchangeConfig,
  tokenExchangeConfigSchema,
} from './config-oauth.ts';

export type { ApiKeysConfig, RedisKeysConfig } from './config-api-keys.ts';
export type { ConfigFault } from './config-fault.ts';
export {
  type ClaimsMapping,
  DEFAULT_CLAIMS,
  DEMO_ISSUER,
  type IssuerConfig,
  type JwksConfig,
  type JwtConfig,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
} from './config-jwt.ts';
export type { MtlsConfig, XfccConfig } from './config-mtls.ts';
export type { DpopConfig, IntrospectionConfig, TokenExchangeConfig } from './config-oauth.ts';
export { checkDemoIssuer } from './demo-prohibitions.ts';

/** `identity:` of the config file, after defaults; what is absent is not looked at. */
export interface IdentityConfig {
  readonly jwt?: JwtConfig;
  readonly api_keys?: ApiKeysConfig;
  readonly mtls?: MtlsConfig;
  readonly dpop?: DpopConfig;
  readonly introspection?: readonly IntrospectionConfig[];
  readonly token_exchange?: TokenExchangeConfig;
}

/** JSON Schema 2020-12 of `identity:`. */
export const identityConfigSchema = {
  type: 'object',
  description: 'Who may be believed: the issuers of credentials. Nothing downloaded can widen this.',
  additionalProperties: false,
  default: {},
  properties: {
    jwt: jwtConfigSchema,
    api_keys: apiKeysConfigSchema,
    mtls: mtlsConfigSchema,
    dpop: dpopConfigSchema,
    introspection: introspectionConfigSchema,
    token_exchange: tokenExchangeConfigSchema,
  },
} as const;

/** What the schema cannot say; reads the key files. Paths begin with `identity.`. */
export function checkIdentityConfig(
  config: IdentityConfig,
  readFile: ReadConfigFile = readFileSync,
): readonly ConfigFault[] {
  const { jwt, api_keys: apiKeys, mtls, dpop, introspection = [], token_exchange: tokenExchange } = config;
  const issuers = [...(jwt?.issuers ?? []), ...introspection].map(({ issuer }) => issuer);
  return [
    ...(jwt === undefined ? [] : checkJwtConfig(jwt, readFile)),
    ...(apiKeys === undefined ? [] : checkApiKeysConfig(apiKeys, readFile)),
    ...(mtls === undefined ? [] : checkMtlsConfig(mtls)),
    ...(dpop === undefined ? [] : checkDpopConfig(dpop)),
    ...checkIntrospectionConfig(introspection),
    ...(tokenExchange === undefined ? [] : checkTokenExchangeConfig(tokenExchange, issuers, readFile)),
    ...checkTogether(config),
  ];
}

/** What depends on more than one part. */
function checkTogether(config: IdentityConfig): readonly ConfigFault[] {
  const faults: ConfigFault[] = [];
  if (config.token_exchange !== undefined && config.api_keys === undefined) {
    faults.push({ path: 'identity.token_exchange', message: 'there are no keys to exchange: set `identity.api_keys`' });
  }
  if (config.dpop?.enabled === true || config.mtls !== undefined) return faults;
  for (const [index, issuer] of (config.jwt?.issuers ?? []).entries()) {
    if (issuer.sender_constrained !== 'required') continue;
    faults.push({
      path: `identity.jwt.issuers[${index}].sender_constrained`,
      message: 'nothing can prove it: set `identity.mtls`, or `enabled` in `identity.dpop`',
    });
  }
  return faults;
}
