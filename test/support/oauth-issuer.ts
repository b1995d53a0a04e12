import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import { freePort } from './ports.ts';

/** A real OAuth 2.0 authorization server on loopback, with service accounts as its clients. */
export interface OAuthIssuer {
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly introspectionUrl: string;
  readonly tokenUrl: string;
  readonly audience: string;
  readonly gateway: ServiceAccount;
  /** A client credentials token of a service account, opaque or a JWT; bound to the key of the proof, where there is one. */
  token(account: ServiceAccount, format: 'jwt' | 'opaque', dpop?: string): Promise<string>;
  revoke(account: ServiceAccount, token: string): Promise<void>;
  stop(): Promise<void>;
}

export interface ServiceAccount {
  readonly id: string;
  readonly secret: string;
  /** What its tokens say. */
  readonly claims: { readonly [claim: string]: unknown };
}

const AUDIENCE = 'sallyport';
const RESOURCES = { jwt: 'urn:inference:jwt', opaque: 'urn:inference:opaque' } as const;

export async function startOAuthIssuer(accounts: readonly ServiceAccount[]): Promise<OAuthIssuer> {
  const issuer = `http://127.0.0.1:${await freePort()}`;
  const gateway: ServiceAccount = { id: 'gateway', secret: 'gateway-secret-of-32-characters!', claims: {} };
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const claims = new Map(accounts.map((account) => [account.id, account.claims]));
  const provider = new Provider(issuer, {
    clients: [...accounts, gateway].map(({ id, secret }) => ({
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      id_token_signed_response_alg: 'ES256',
      redirect_uris: [],
      response_types: [],
    })),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'issuer-1', alg: 'ES256', use: 'sig' }] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context: unknown, resource: string) => ({
          scope: 'infer',
          audience: AUDIENCE,
          accessTokenTTL: 300,
          accessTokenFormat: resource === RESOURCES.jwt ? 'jwt' : 'opaque',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    extraTokenClaims: (_context: unknown, token: { readonly clientId?: string }) => claims.get(token.clientId ?? ''),
  });
  const server = createServer(provider.callback());
  await new Promise<void>((resolve) => server.listen(Number(new URL(issuer).port), '127.0.0.1', resolve));

  const post = (path: string, { id, secret }: ServiceAccount, form: Record<string, string>, dpop?: string) =>
    fetch(`${issuer}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from(`${id}:${encodeURIComponent(secret)}`).toString('base64')}`,
        ...(dpop === undefined ? {} : { dpop }),
      },
      body: new URLSearchParams(form),
    });

  return {
    issuer,
    jwksUrl: `${issuer}/jwks`,
    introspectionUrl: `${issuer}/token/introspection`,
    tokenUrl: `${issuer}/token`,
    audience: AUDIENCE,
    gateway,
    token: async (account, format, dpop) => {
      const form = { grant_type: 'client_credentials', resource: RESOURCES[format], scope: 'infer' };
      const answer = await post('/token', account, form, dpop);
      const body: unknown = await answer.json();
      if (typeof body !== 'object' || body === null || !('access_token' in body)) {
        throw new Error(`no token: ${answer.status} ${JSON.stringify(body)}`);
      }
      return String(body.access_token);
    },
    revoke: async (account, token) => {
      const { status } = await post('/token/revocation', account, { token });
      if (status !== 200) throw new Error(`not revoked: ${status}`);
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
