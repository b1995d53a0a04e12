import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import {
  checkRemoteSinkConfig,
  type RemoteSinkConfig,
  remoteSinkName,
  remoteSinkSchema,
} from '../../../../src/decision-log/sinks/config.ts';

const ajv = new Ajv2020({ allErrors: true, useDefaults: true, strict: true, allowUnionTypes: true });
const validate = ajv.compile<RemoteSinkConfig>({
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  properties: remoteSinkSchema,
});

/** As the config is read: the schema first, its defaults filled in, then the rest. */
function read(value: unknown): { readonly config?: RemoteSinkConfig; readonly faults: readonly string[] } {
  const copy: unknown = structuredClone(value);
  if (!validate(copy)) return { faults: (validate.errors ?? []).map(({ instancePath }) => instancePath) };
  return { config: copy, faults: checkRemoteSinkConfig(copy, 'sinks[0]').map(({ path }) => path) };
}

const url = 'https://logs.example';
const kafka = { brokers: ['127.0.0.1:9092'], topic: 'decisions' };

describe('the config of remote sinks', () => {
  test.each([
    [{ http: { url } }, 'http', { path: '/logs', format: 'native', batch: { max_events: 500 }, timeout_ms: 10_000 }],
    [{ http: { url: 'http://127.0.0.1:8080', name: 'http-audit' } }, 'http-audit', {}],
    [{ otlp: { url: 'http://[::1]:4318', format: 'ocsf' } }, 'otlp', { path: '/v1/logs' }],
    [{ elasticsearch: { url } }, 'elasticsearch', { index: 'sallyport-decisions-{yyyy}.{MM}.{dd}', path: '/_bulk' }],
    [{ kafka }, 'kafka', { idempotent: true, compression: 'gzip' }],
    [{ kafka: { ...kafka, brokers: ['kafka.example:9093'], tls: {} } }, 'kafka', {}],
  ])('takes %j', (value, name, settings) => {
    const { config, faults } = read(value);
    expect(faults).toEqual([]);
    if (config === undefined) throw new Error('it is no config');
    expect(remoteSinkName(config)).toBe(name);
    expect(Object.values(config)[0]).toMatchObject(settings);
  });

  test.each([
    ['http to another machine', { http: { url: 'http://logs.example' } }, 'sinks[0].http.url'],
    ['a name that only looks like this machine', { http: { url: 'http://127.0.0.1.example' } }, 'sinks[0].http.url'],
    ['a password in the url', { otlp: { url: 'https://a:b@logs.example' } }, 'sinks[0].otlp.url'],
    ['a query', { http: { url: `${url}/?token=1` } }, 'sinks[0].http.url'],
    ['no url', { http: { url: 'logs.example' } }, 'sinks[0].http.url'],
    ['another protocol', { http: { url: 'file:///etc/passwd' } }, 'sinks[0].http.url'],
    ['tls without https', { http: { url: 'http://localhost:1', tls: {} } }, 'sinks[0].http.tls'],
    ['half a pair', { http: { url, tls: { cert: '/c' } } }, 'sinks[0].http.tls'],
    [
      'two credentials',
      { http: { url, credentials: { bearer_token: 'a', bearer_token_file: '/b' } } },
      '/http/credentials',
    ],
    ['no password', { http: { url, credentials: { basic: { username: 'a' } } } }, 'sinks[0].http.credentials'],
    [
      'a header that the sink sets',
      { http: { url, credentials: { api_key: { header: 'Content-Length', value: '1' } } } },
      'sinks[0].http.credentials',
    ],
    [
      'a header in a header',
      { http: { url, credentials: { api_key: { header: 'x-key', value: 'a\r\nb: c' } } } },
      '/http/credentials/api_key/value',
    ],
    ['an index in capitals', { elasticsearch: { url, index: 'Decisions' } }, 'sinks[0].elasticsearch.index'],
    ['an unknown place', { elasticsearch: { url, index: 'a-{tenant}' } }, 'sinks[0].elasticsearch.index'],
    ['the name of a local sink', { http: { url, name: 'stdout' } }, 'sinks[0].http.name'],
    ['a name for a folder above', { http: { url, name: '../x' } }, '/http/name'],
    ['kafka in the clear', { kafka: { ...kafka, brokers: ['kafka.example:9092'] } }, 'sinks[0].kafka.brokers[0]'],
    [
      'no password of sasl',
      { kafka: { ...kafka, sasl: { mechanism: 'PLAIN', username: 'a' } } },
      'sinks[0].kafka.sasl',
    ],
    ['an unknown member', { http: { url, retry: 3 } }, '/http'],
    ['two sinks in one entry', { http: { url }, otlp: { url } }, ''],
  ])('refuses %s', (_, value, path) => {
    expect(read(value).faults).toContain(path);
  });

  test('allows the danger by its name', () => {
    expect(read({ http: { url: 'http://logs.example', insecure_http: true } }).faults).toEqual([]);
    const brokers = ['kafka.example:9092'];
    expect(read({ kafka: { ...kafka, brokers, insecure_plaintext: true } }).faults).toEqual([]);
  });
});
