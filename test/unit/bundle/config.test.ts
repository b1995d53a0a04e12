import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import {
  type AgentConfig,
  agentConfigSchema,
  type BundlesConfig,
  bundlesConfigSchema,
  checkAgentConfig,
  checkBundlesConfig,
} from '../../../src/bundle/config.ts';
import { DEFAULT_TRIAL } from '../../../src/bundle/config-agent.ts';
import { DEFAULT_POLLING } from '../../../src/bundle/config-sources.ts';

const trust = { sha256: 'a'.repeat(64) };
const validate = new Ajv2020({ useDefaults: true, allErrors: true }).compile<BundlesConfig>(bundlesConfigSchema);

function faultsOf(value: unknown): readonly string[] {
  if (!validate(value)) return (validate.errors ?? []).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`);
  return checkBundlesConfig(value).map(({ path, message }) => `${path}: ${message}`);
}

describe('the config of bundles', () => {
  it('takes a pinned file and a pinned url', () => {
    expect(faultsOf({ a: { file: 'a.tar.gz', trust }, b: { url: 'https://x.example/b', polling: {}, trust } })).toEqual(
      [],
    );
  });

  it('fills in how a url is polled', () => {
    const value: BundlesConfig = { b: { url: 'https://x.example/b', polling: {} as never, trust } };
    expect(faultsOf(value)).toEqual([]);
    expect(value['b']?.polling).toEqual(DEFAULT_POLLING);
  });

  it.each<[string, unknown, readonly string[]]>([
    ['has no bundle', {}, [' minProperties']],
    ['has no trust', { a: { file: 'a' } }, ['/a required']],
    [
      'has an empty trust',
      { a: { file: 'a', trust: {} } },
      ['bundles.a.trust: name exactly one of `sha256` and `keys`'],
    ],
    ['has a pin in upper case', { a: { file: 'a', trust: { sha256: 'A'.repeat(64) } } }, ['/a/trust/sha256 pattern']],
    ['has a short pin', { a: { file: 'a', trust: { sha256: 'a'.repeat(63) } } }, ['/a/trust/sha256 pattern']],
    [
      'has keys of another kind of trust',
      { a: { file: 'a', trust: { ...trust, skip: true } } },
      ['/a/trust additionalProperties'],
    ],
    ['has neither file nor url', { a: { trust } }, ['bundles.a: name exactly one of `file`, `url` and `s3`']],
    [
      'has file and url',
      { a: { file: 'a', url: 'http://x', trust } },
      ['bundles.a: name exactly one of `file`, `url` and `s3`'],
    ],
    [
      'polls a file',
      { a: { file: 'a', polling: {}, trust } },
      ['bundles.a.polling: only a `url` is polled; leave it out'],
    ],
    ['has another scheme', { a: { url: 'file:///etc/x', trust } }, ['/a/url pattern']],
    ['has a url that is none', { a: { url: 'http://', trust } }, ['bundles.a.url: is not a url']],
    [
      'has credentials in a url',
      { a: { url: 'https://u:p@x/b', trust } },
      ['bundles.a.url: must not hold credentials'],
    ],
    ['has a fragment in a url', { a: { url: 'https://x/b#c', trust } }, ['bundles.a.url: must not have a fragment']],
    [
      'has delays in the wrong order',
      { a: { url: 'https://x/b', polling: { min_delay_seconds: 9, max_delay_seconds: 8 }, trust } },
      ['bundles.a.polling.min_delay_seconds: is greater than `max_delay_seconds`'],
    ],
    [
      'has a delay of nothing',
      { a: { url: 'https://x/b', polling: { min_delay_seconds: 0 }, trust } },
      ['/a/polling/min_delay_seconds exclusiveMinimum'],
    ],
    [
      'has keys without a scope',
      { a: { file: 'a', trust: { keys: { k: 'k.pem' } } } },
      ['bundles.a.trust.scope: is needed beside `keys`: the same keys may sign for elsewhere'],
    ],
    [
      'has a pin and keys',
      { a: { file: 'a', trust: { ...trust, keys: { k: 'k.pem' }, scope: 's' } } },
      ['bundles.a.trust: name exactly one of `sha256` and `keys`'],
    ],
    [
      'has a scope beside a pin',
      { a: { file: 'a', trust: { ...trust, scope: 's' } } },
      ['bundles.a.trust: `scope` and `signature` belong to `keys`; a pin says it all'],
    ],
    [
      'sends credentials in the clear',
      { a: { url: 'http://x/b', credentials: { bearer_token: 't' }, trust } },
      ['bundles.a.url: must be https, because credentials are sent to it'],
    ],
    [
      'has two credentials',
      { a: { url: 'https://x/b', credentials: { bearer_token: 't', bearer_token_file: 'f' }, trust } },
      ['/a/credentials maxProperties'],
    ],
    [
      'has credentials and asks nobody',
      { a: { file: 'a', credentials: { bearer_token: 't' }, trust } },
      ['bundles.a.credentials: no `url` is asked; leave it out'],
    ],
    [
      'has TLS without https',
      { a: { url: 'http://x/b', tls: { ca: 'ca.pem' }, trust } },
      ['bundles.a.tls: no https url is asked; leave it out'],
    ],
    [
      'has a certificate without its key',
      { a: { url: 'https://x/b', tls: { cert: 'c' }, trust } },
      ['/a/tls dependentRequired'],
    ],
    [
      'has a store without a key',
      { a: { s3: { endpoint: 'https://s', region: 'r', bucket: 'bb', key: 'k', access_key_id: 'i' }, trust } },
      ['bundles.a.s3: name exactly one of `secret_access_key` and `secret_access_key_file`'],
    ],
    [
      'has an age for a file',
      // biome-ignore lint/suspicious/noThenProperty: the name of a setting
      { a: { file: 'a', stale: { max_age_seconds: 1, then: 'deny' }, trust } },
      ['bundles.a.stale.max_age_seconds: a `file` is not polled, so nothing confirms it; leave it out'],
    ],
    ['does not say what then', { a: { file: 'a', stale: {}, trust } }, ['/a/stale required']],
    [
      'has orders under a pin',
      { a: { url: 'https://x/b', orders: { url: 'https://x/o' }, trust } },
      ['bundles.a.orders: orders are signed, so `trust.keys` is needed'],
    ],
    [
      'has a candidate without its pin',
      { a: { file: 'a', candidate: { file: 'b' }, trust } },
      ['bundles.a.candidate.sha256: is needed, because `trust` is a pin'],
    ],
    [
      'has two bundles on trial',
      {
        a: { file: 'a', candidate: { file: 'b', sha256: trust.sha256 }, trust },
        b: { file: 'a', candidate: { file: 'b', sha256: trust.sha256 }, trust },
      },
      ['bundles.b: only one bundle may have `candidate` or `orders`: one thing is tried at a time'],
    ],
    ['has a name that is no name', { 'A b': { file: 'a', trust } }, [' pattern', ' propertyNames']],
  ])('that %s is refused', (_fault, value, faults) => {
    expect(faultsOf(value)).toEqual(faults);
  });
});

describe('signed bundles', () => {
  const config: BundlesConfig = { a: { file: 'a', trust: { keys: { k: 'k.pem' }, scope: 's' } } };

  it('need a folder where the newest version is remembered', () => {
    expect(checkBundlesConfig(config, { data_dir: '/d' })).toEqual([]);
    expect(checkBundlesConfig(config, {})).toEqual([
      { path: 'bundles.a.trust.keys', message: expect.stringMatching(/^needs `agent.data_dir`/) },
    ]);
  });
});

describe('the config of the agent', () => {
  const validateAgent = new Ajv2020({ useDefaults: true, allErrors: true }).compile<AgentConfig>(agentConfigSchema);

  it('is filled in', () => {
    const value = { status: { url: 'https://b/v1/status' } };
    expect(validateAgent(value)).toBe(true);
    expect(value).toEqual({ trial: DEFAULT_TRIAL, status: { url: 'https://b/v1/status', interval_seconds: 30 } });
  });

  it('that tells its status to a stranger is refused', () => {
    const status = { url: 'http://b/v1/status', credentials: { bearer_token: 't' }, interval_seconds: 30 };
    expect(checkAgentConfig({ trial: DEFAULT_TRIAL, status })).toEqual([
      { path: 'agent.status.url', message: 'must be https, because credentials are sent to it' },
    ]);
  });
});
