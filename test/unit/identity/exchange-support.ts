import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Offender } from '../../../src/decision/ports.ts';
import type { KeyDirectory } from '../../../src/identity/api-key-directory.ts';
import { type KeyEntry, type KeyRecord, parseKeyEntry } from '../../../src/identity/api-key-record.ts';
import { digestSecret } from '../../../src/identity/api-key-verify.ts';
import type { TokenExchangeConfig } from '../../../src/identity/config.ts';
import { CredentialFault } from '../../../src/identity/credential-fault.ts';
import { createExchangedTokenMethod } from '../../../src/identity/exchanged-token.ts';
import { createJwtMethod, type JwtIssuer } from '../../../src/identity/jwt.ts';
import { createTokenExchange } from '../../../src/identity/token-exchange.ts';
import { createTokenSigner, type SigningKeyRead } from '../../../src/identity/token-signer.ts';
import { manualTime } from './support.ts';

export const KEY_ID = 'abcdefghijkl';
export const SECRET = Buffer.alloc(32, 7).toString('base64url');
export const API_KEY = `sp_${KEY_ID}_${SECRET}`;
export const EXCHANGE_ISSUER = 'https://sallyport.test';

export const EXCHANGE_CONFIG: TokenExchangeConfig = {
  listen: '127.0.0.1:0',
  issuer: EXCHANGE_ISSUER,
  audience: 'gateway',
  signing_key_file: 'signing.pem',
  previous_key_files: [],
  lifetime_seconds: 300,
};

export function pemOf(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }).toString();
}

export function ecKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

export function record(changes: Partial<KeyEntry> = {}): KeyRecord {
  const entry = {
    id: KEY_ID,
    sha256: digestSecret(SECRET).toString('hex'),
    tenant: 'tenant-a',
    roles: ['reader', 'writer'],
    tier: 'premium',
    ...changes,
  };
  const parsed = parseKeyEntry(entry);
  if (!('id' in parsed)) throw new Error(JSON.stringify(parsed));
  return parsed;
}

/** An exchange whose keys and files the test changes, on a clock that moves when told. */
export async function openExchange(config: Partial<TokenExchangeConfig> = {}, others: readonly JwtIssuer[] = []) {
  const time = manualTime();
  const files = new Map([['signing.pem', pemOf(ecKey())]]);
  const keys = new Map<string, KeyRecord>([[KEY_ID, record()]]);
  const state = { down: false, repeated: false, clientIp: '192.0.2.1' as string | undefined };
  const counted: Offender[] = [];
  const events: SigningKeyRead[] = [];
  const directory: KeyDirectory = {
    find: (id) => {
      if (state.down) throw new CredentialFault('the directory is down', 'issuer_unavailable');
      return keys.get(id);
    },
    start: () => Promise.resolve(),
    stop: () => {},
    fault: () => undefined,
  };
  const all = { ...EXCHANGE_CONFIG, ...config };
  const signer = createTokenSigner({
    file: all.signing_key_file,
    previousFiles: all.previous_key_files,
    readFile: async (path) => {
      const text = files.get(path);
      if (text === undefined) throw new Error(`no file \`${path}\``);
      return Buffer.from(text);
    },
    retireAfterMs: 330_000,
    clock: time.clock,
    startTimer: time.startTimer,
    report: (event) => events.push(event),
  });
  let tokens = 0;
  const exchange = createTokenExchange({
    config: all,
    signer,
    directory,
    refusals: { isRepeated: () => state.repeated, count: (offender) => counted.push(offender) },
    clock: time.clock,
    newTokenId: () => {
      tokens += 1;
      return `token-${tokens}`;
    },
    report: () => {},
  });
  const jwt = createJwtMethod({
    issuers: [...others, exchange.issuer],
    maxTokenBytes: 8192,
    cacheTtlMs: 60_000,
    cacheMaxEntries: 100,
  });
  const method = createExchangedTokenMethod({
    jwt,
    issuer: all.issuer,
    directory,
    clientIp: () => state.clientIp,
  });
  await method.start();
  const token = async (address = '192.0.2.1'): Promise<string> => {
    const exchanged = await exchange.exchange({ kind: 'whole', apiKey: API_KEY }, address);
    if (exchanged.kind !== 'issued') throw new Error(exchanged.kind);
    return exchanged.token;
  };
  return { time, files, keys, state, counted, events, signer, exchange, method, token };
}
