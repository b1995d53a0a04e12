import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import {
  type BundlesConfig,
  bundlesConfigSchema,
  checkBundlesConfig,
  DEFAULT_POLLING,
} from '../../../src/bundle/config.ts';

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
    ['has an empty trust', { a: { file: 'a', trust: {} } }, ['/a/trust required']],
    ['has a pin in upper case', { a: { file: 'a', trust: { sha256: 'A'.repeat(64) } } }, ['/a/trust/sha256 pattern']],
    ['has a short pin', { a: { file: 'a', trust: { sha256: 'a'.repeat(63) } } }, ['/a/trust/sha256 pattern']],
    [
      'has keys of another kind of trust',
      { a: { file: 'a', trust: { ...trust, skip: true } } },
      ['/a/trust additionalProperties'],
    ],
    ['has neither file nor url', { a: { trust } }, ['bundles.a: name exactly one of `file` and `url`']],
    [
      'has file and url',
      { a: { file: 'a', url: 'http://x', trust } },
      ['bundles.a: name exactly one of `file` and `url`'],
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
    ['has a name that is no name', { 'A b': { file: 'a', trust } }, [' pattern', ' propertyNames']],
  ])('that %s is refused', (_fault, value, faults) => {
    expect(faultsOf(value)).toEqual(faults);
  });
});
