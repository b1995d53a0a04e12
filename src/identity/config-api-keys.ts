import { parseKeyFile } from './api-key-file.ts';
import { type ConfigFault, configText, isLoopbackName, messageOf, type ReadConfigFile } from './config-fault.ts';

/** `identity.api_keys`: where the keys are looked up. Exactly one of `file` and `redis`; checkIdentityConfig sees to it. */
export interface ApiKeysConfig {
  readonly file?: string;
  readonly redis?: RedisKeysConfig;
  /** How many keys of a Redis directory are remembered, and beside them how many ids that are none. */
  readonly cache_max_entries: number;
}

export interface RedisKeysConfig {
  /** May hold a password: never shown. */
  readonly url: string;
  /** Of one lookup; later the request is denied. */
  readonly deadline_ms: number;
  /** A key is the hash `<prefix><key id>`. */
  readonly prefix: string;
}

/** JSON Schema of `identity.api_keys`. */
export const apiKeysConfigSchema = {
  type: 'object',
  description:
    'API keys (`sp_<key id>_<secret>`), in `x-api-key` or as a bearer token. Name `file` or `redis`, not both.',
  additionalProperties: false,
  properties: {
    file: { ...configText, description: 'A keys file, written by `sallyport keys`; read again when it changes.' },
    redis: {
      type: 'object',
      description: 'A directory of any size in Redis or Valkey: a hash per key, read when the key is presented.',
      additionalProperties: false,
      required: ['url'],
      properties: {
        url: { ...configText, description: '`rediss://host:port`; `redis://` only on loopback.' },
        deadline_ms: {
          type: 'integer',
          minimum: 1,
          maximum: 5000,
          default: 50,
          description: 'How long one lookup may take; a request whose key is not found out by then is denied.',
        },
        prefix: {
          type: 'string',
          minLength: 1,
          maxLength: 128,
          default: 'sallyport:key:',
          description: 'What stands before the key id in the name of its hash.',
        },
      },
    },
    cache_max_entries: {
      type: 'integer',
      minimum: 1,
      maximum: 1000000,
      default: 10000,
      description: 'How many keys of a Redis directory are remembered, for less than a second each.',
    },
  },
} as const;

/** What the schema cannot say; reads the keys file. */
export function checkApiKeysConfig(config: ApiKeysConfig, readFile: ReadConfigFile): readonly ConfigFault[] {
  const path = 'identity.api_keys';
  const faults: ConfigFault[] = [];
  if ((config.file === undefined) === (config.redis === undefined)) {
    faults.push({ path, message: 'name either `file` or `redis`' });
  }
  if (config.file !== undefined) faults.push(...fileFaults(config.file, `${path}.file`, readFile));
  const message = config.redis === undefined ? undefined : redisUrlFault(config.redis.url);
  if (message !== undefined) faults.push({ path: `${path}.redis.url`, message });
  return faults;
}

function fileFaults(file: string, path: string, readFile: ReadConfigFile): readonly ConfigFault[] {
  try {
    return parseKeyFile(readFile(file)).faults.map((fault) => ({ path, message: `\`${file}\`: ${fault}` }));
  } catch (error) {
    const advice = `\`sallyport keys create --file ${file}\` makes it`;
    return [{ path, message: `cannot read \`${file}\`: ${messageOf(error)}; ${advice}` }];
  }
}

/** Never repeats the url, which may hold a password. */
function redisUrlFault(text: string): string | undefined {
  const url = URL.parse(text);
  if (url === null || url.hostname === '') return 'is no url: write `rediss://host:port`';
  if (url.protocol === 'rediss:') return undefined;
  if (url.protocol !== 'redis:') return `\`${url.protocol}\` is no scheme of Redis: write \`rediss://host:port\``;
  if (isLoopbackName(url.hostname)) return undefined;
  return 'must be `rediss:` off loopback: what is said of keys in the clear can be replaced';
}
