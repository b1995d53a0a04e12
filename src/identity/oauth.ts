import type { Clock, Refusals, StartTimer } from '../decision/ports.ts';
import type { KeyDirectory } from './api-key-directory.ts';
import type { IdentityConfig } from './config.ts';
import type { CredentialMethod } from './credential-method.ts';
import { createDpop } from './dpop.ts';
import { createIntrospectionMethod, introspectedTokens } from './introspection.ts';
import type { FetchPost } from './introspection-client.ts';
import type { ReadFile } from './jwks-load.ts';
import type { Confirm } from './jwt-confirmation.ts';
import { createTokenExchange, type TokenExchange, type TokenExchangeOptions } from './token-exchange.ts';
import { createTokenSigner, type SigningKeyRead } from './token-signer.ts';

/** What config asks for of OAuth beside JWTs; every part is an option of `createAuthenticator` by the same name. */
export interface OAuth {
  readonly confirm?: Confirm;
  readonly methods: readonly CredentialMethod[];
  readonly tokenExchange?: TokenExchange;
}

export interface OAuthOptions {
  readonly config: IdentityConfig;
  /** Without one no key can be exchanged. */
  readonly keyDirectory?: KeyDirectory;
  readonly refusals: Refusals;
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  readonly fetch: FetchPost;
  readonly readFile: ReadFile;
  readonly newTokenId: () => string;
  /** Told of the signing key, and why keys were not exchanged. */
  readonly report: (event: SigningKeyRead | Parameters<TokenExchangeOptions['report']>[0]) => void;
}

/** DPoP, introspection and the token exchange, as far as config names them; one table of proofs serves all methods. */
export function createOAuth(options: OAuthOptions): OAuth {
  const { config, clock, startTimer, fetch } = options;
  const confirm = config.dpop?.enabled === true ? createDpop(config.dpop) : undefined;
  const shared = confirm === undefined ? {} : { confirm };
  const methods: CredentialMethod[] = [];
  if (config.introspection !== undefined) {
    const maxTokenBytes = config.jwt?.max_token_bytes ?? MAX_TOKEN_BYTES;
    const servers = config.introspection;
    const takes = introspectedTokens({
      jwt: config.jwt !== undefined || config.token_exchange !== undefined,
      apiKeys: config.api_keys !== undefined,
    });
    methods.push(createIntrospectionMethod({ servers, maxTokenBytes, fetch, clock, startTimer, takes, ...shared }));
  }
  const tokenExchange = exchange(options);
  return { ...shared, methods, ...(tokenExchange === undefined ? {} : { tokenExchange }) };
}

const MAX_TOKEN_BYTES = 8192;
/** How much longer than its tokens a key is published: clocks differ, and verifiers keep key sets. */
const RETIRE_AFTER_MS = 60_000;

function exchange(options: OAuthOptions): TokenExchange | undefined {
  const { keyDirectory: directory, refusals, clock, startTimer, readFile, newTokenId, report } = options;
  const config = options.config.token_exchange;
  if (config === undefined) return undefined;
  if (directory === undefined)
    throw new Error('`identity.token_exchange` is configured, but there is no key directory');
  const signer = createTokenSigner({
    file: config.signing_key_file,
    previousFiles: config.previous_key_files,
    readFile,
    retireAfterMs: config.lifetime_seconds * 1000 + RETIRE_AFTER_MS,
    clock,
    startTimer,
    report,
  });
  return createTokenExchange({ config, signer, directory, refusals, clock, newTokenId, report });
}
