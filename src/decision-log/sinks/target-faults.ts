import type { SinkCredentialsConfig, TargetConfig } from './config-types.ts';
import { isLoopback } from './loopback.ts';

export interface Fault {
  readonly path: string;
  readonly message: string;
}

/** What the schema cannot say of a server and of how it is reached. No message holds a credential. */
export function targetFaults(config: TargetConfig, path: string): readonly Fault[] {
  const { url, tls, credentials } = config;
  const faults: Fault[] = [];
  const urlMessage = urlFault(config);
  if (urlMessage !== undefined) faults.push({ path: `${path}.url`, message: urlMessage });
  if (tls !== undefined && !url.startsWith('https:')) {
    faults.push({ path: `${path}.tls`, message: '`tls` goes with an https url only' });
  }
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined)) {
    faults.push({ path: `${path}.tls`, message: '`cert` and `key` go together' });
  }
  const credentialsMessage = credentials === undefined ? undefined : credentialsFault(credentials);
  if (credentialsMessage !== undefined) faults.push({ path: `${path}.credentials`, message: credentialsMessage });
  return faults;
}

function urlFault({ url, insecure_http: isInsecure }: TargetConfig): string | undefined {
  const parsed = URL.parse(url);
  if (parsed === null) return 'it is no url: write `https://host:port`';
  const { protocol, hostname, username, password, search, hash } = parsed;
  if (protocol !== 'https:' && protocol !== 'http:') return 'it is neither https nor http';
  if (username !== '' || password !== '') return 'it holds a credential: use `credentials`';
  if (search !== '' || hash !== '') return 'it has a query or a fragment: remove them';
  if (protocol === 'http:' && !isLoopback(hostname) && !isInsecure) {
    return 'events would travel in the clear: use https, or set `insecure_http: true`';
  }
  return undefined;
}

function credentialsFault({ basic, api_key: apiKey }: SinkCredentialsConfig): string | undefined {
  if (basic !== undefined && (basic.password === undefined) === (basic.password_file === undefined)) {
    return 'give one of `password` and `password_file`';
  }
  if (apiKey === undefined) return undefined;
  if (OURS.has(apiKey.header.toLowerCase()))
    return `\`${apiKey.header}\` is set by the sink itself: name another header`;
  return (apiKey.value === undefined) === (apiKey.value_file === undefined)
    ? 'give one of `value` and `value_file`'
    : undefined;
}

const OURS: ReadonlySet<string> = new Set([
  'accept',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
