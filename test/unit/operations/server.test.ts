import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterEach, describe, expect, test } from 'vitest';
import {
  checkOperationsConfig,
  type OperationsConfig,
  operationsConfigSchema,
} from '../../../src/operations/config.ts';
import { createOperations, type Operations, type OperationsPorts } from '../../../src/operations/server.ts';
import { createManualClock } from '../../support/manual-clock.ts';

const running: Operations[] = [];
afterEach(async () => {
  for (const operations of running.splice(0)) await operations.stop();
});

interface State {
  live: boolean;
  reasons: string[];
  bundles: boolean;
}

async function start(state: Partial<State> = {}, ports: Partial<OperationsPorts> = {}): Promise<number> {
  const { live = true, reasons = [], bundles = true } = state;
  const operations = createOperations({
    config: { listen: '127.0.0.1:0', drain_delay_ms: 0 },
    health: { live: () => live, ready: () => ({ ready: reasons.length === 0, reasons }), bundlesReady: () => bundles },
    metricsText: async () => 'sallyport_decisions_total 1\n',
    metricsContentType: 'text/plain; version=0.0.4',
    startTimer: createManualClock().startTimer,
    ...ports,
  });
  running.push(operations);
  const { address } = await operations.start();
  return address.kind === 'tcp' ? address.port : 0;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function ask(
  port: number,
  path: string,
  { method = 'GET', headers = {}, body }: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const { statusCode = 0, headers: answered } = response;
        resolve({ status: statusCode, headers: answered, body: Buffer.concat(chunks).toString() });
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

describe('health', () => {
  const notReady = { reasons: ['bundle authz: not downloaded'], bundles: false };
  test.each<[Partial<State>, string, number, unknown]>([
    [{}, '/health/live', 200, { status: 'live' }],
    [{ live: false }, '/health/live', 503, { status: 'not live' }],
    [notReady, '/health/live', 200, { status: 'live' }],
    [{}, '/health/ready', 200, { status: 'ready' }],
    [notReady, '/health/ready', 503, { status: 'not ready', reasons: ['bundle authz: not downloaded'] }],
    [{}, '/health', 200, {}],
    [{ live: false }, '/health', 500, { error: 'not live' }],
    [notReady, '/health', 200, {}],
    [{}, '/health?bundles', 200, {}],
    [{}, '/health?plugins&bundles=true', 200, {}],
    [notReady, '/health?bundles', 500, { error: 'not every bundle is active' }],
    [notReady, '/health?bundle=true', 500, { error: 'not every bundle is active' }],
    [notReady, '/health?bundles=false', 200, {}],
    [notReady, '/health?plugins', 500, { error: 'not ready' }],
    [notReady, '/health?__proto__=1&constructor&toString', 200, {}],
  ])('in the state %j %s is %d', async (state, path, status, body) => {
    const answer = await ask(await start(state), path);
    expect([answer.status, JSON.parse(answer.body)]).toEqual([status, body]);
  });

  test('answers HEAD as GET without a body', async () => {
    const answer = await ask(await start(), '/health/ready', { method: 'HEAD' });
    expect([answer.status, answer.body]).toEqual([200, '']);
  });

  test.each([[{ host: 'attacker.example' }], [{ origin: 'http://attacker.example' }], [{ origin: 'null' }]])(
    'is no answer for a web page: %j',
    async (headers) => {
      const port = await start({ reasons: ['secret'] });
      for (const path of ['/health', '/health/live', '/health/ready']) {
        const answer = await ask(port, path, { headers });
        expect(answer.status).toBe(403);
        expect(answer.body).not.toContain('secret');
      }
    },
  );
});

describe('metrics', () => {
  test('are text of their own type', async () => {
    const answer = await ask(await start(), '/metrics');
    expect([answer.status, answer.headers['content-type'], answer.body]).toEqual([
      200,
      'text/plain; version=0.0.4; charset=utf-8',
      'sallyport_decisions_total 1\n',
    ]);
  });

  test.each([{ host: 'attacker.example' }, { origin: 'http://attacker.example' }])(
    'are not for a web page: %j',
    async (headers) => {
      const answer = await ask(await start(), '/metrics', { headers });
      expect([answer.status, answer.body]).toEqual([403, '{"error":"not addressed to this service"}']);
    },
  );

  test('that fail are a 500 without detail, and reported', async () => {
    const faults: unknown[] = [];
    const metricsText = (): Promise<string> => Promise.reject(new Error('secret path /etc/x'));
    const answer = await ask(await start({}, { metricsText, onFault: (cause) => faults.push(cause) }), '/metrics');
    expect([answer.status, answer.body]).toEqual([500, '{"error":"internal error"}']);
    expect(faults).toEqual([new Error('secret path /etc/x')]);
  });
});

describe('everything else', () => {
  test.each([
    ['GET', '/', 404],
    ['GET', '/health/', 404],
    ['GET', '/HEALTH', 404],
    ['GET', '/metrics/', 404],
    ['GET', '//metrics', 404],
    ['GET', '/ext-authz/x', 404],
    ['GET', '/%', 404],
    ['POST', '/metrics', 405],
    ['POST', '/health', 405],
    ['DELETE', '/health/ready', 405],
    ['OPTIONS', '/metrics', 405],
    ['TRACE', '/health/live', 405],
  ])('%s %s is %d, as JSON, and says nothing of what serves it', async (method, path, status) => {
    const answer = await ask(await start(), path, { method });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toEqual({ error: expect.any(String) });
    expect(answer.headers).not.toHaveProperty('x-powered-by');
    expect(answer.headers).not.toHaveProperty('etag');
    expect(answer.body).not.toMatch(/express|node_modules|at /);
  });

  test.each([{ 'content-length': '5' }, { 'transfer-encoding': 'chunked' }])(
    'a body is refused without being waited for: %j',
    async (headers) => {
      const answer = await ask(await start(), '/health', { method: 'POST', headers, body: 'abcde' });
      expect([answer.status, answer.headers['connection']]).toEqual([413, 'close']);
    },
  );
});

test('works with a frozen Object.prototype', () => {
  const script = `
    Object.freeze(Object.prototype);
    const { createOperations } = await import('./src/operations/server.ts');
    const operations = createOperations({
      config: {
        listen: '127.0.0.1:0', drain_delay_ms: 0,
        tokens: [{ sha256: '${createHash('sha256').update('meter').digest('hex')}', rights: ['usage', 'quota'] }],
      },
      health: { live: () => true, ready: () => ({ ready: true, reasons: [] }), bundlesReady: () => true },
      metricsText: async () => 'm 1', metricsContentType: 'text/plain',
      usage: {
        settle: async (id, usage) => ({ status: 200, body: { id, usage } }),
        renew: async () => ({ status: 404, reason: 'unknown', detail: 'x' }),
        quotaOf: async (tenant) => ({ status: 200, body: { tenant } }),
        parseJson: JSON.parse,
      },
      startTimer: (ms, late) => { const timer = setTimeout(late, ms); return () => clearTimeout(timer); },
    });
    const { address } = await operations.start();
    for (const path of ['/health?bundles', '/metrics', '/nothing']) {
      const response = await fetch('http://127.0.0.1:' + address.port + path);
      console.log(response.status, await response.text());
    }
    for (const [path, body] of [['', { usage: {} }], ['/renew', { ttl_seconds: 1 }], [undefined]]) {
      const url = 'http://127.0.0.1:' + address.port + (path === undefined ? '/v1/quota?tenant=a' : '/v1/usage' + path);
      const headers = { authorization: 'Bearer meter', 'content-type': 'application/json' };
      const sent = body === undefined ? {} : { method: 'POST', body: JSON.stringify({ reservation_id: 'r', ...body }) };
      const response = await fetch(url, { headers, ...sent });
      console.log(response.status, await response.text());
    }
    await operations.stop();
  `;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(output.split('\n')).toEqual([
    '200 {}',
    '200 m 1',
    '404 {"error":"there is nothing here"}',
    '200 {"id":"r","usage":{}}',
    '404 {"status":404,"title":"Not Found","reason":"unknown","detail":"x"}',
    '200 {"tenant":"a"}',
    '',
  ]);
});

describe('config', () => {
  const validate = new Ajv2020({ useDefaults: true, strict: true }).compile(operationsConfigSchema);
  const hash = 'a'.repeat(64);

  test('has defaults', () => {
    const config = {};
    expect(validate(config)).toBe(true);
    expect(config).toEqual({ listen: '127.0.0.1:8282', drain_delay_ms: 1000 });
  });

  test.each([
    [{ tokens: [{ sha256: 'secret', rights: ['metrics'] }] }],
    [{ tokens: [{ sha256: hash, rights: ['everything'] }] }],
    [{ tokens: [{ sha256: hash, rights: [] }] }],
    [{ tokens: [{ rights: ['metrics'] }] }],
    [{ hosts: ['*'] }],
    [{ hosts: ['Ops.example'] }],
    [{ drain_delay_ms: -1 }],
  ])('refuses %j', (config) => {
    expect(validate(config)).toBe(false);
  });

  test.each<[string, Partial<OperationsConfig>, readonly string[]]>([
    ['nothing wrong', {}, []],
    ['an address that cannot be read', { listen: 'ops:1' }, ['operations.listen']],
    [
      'a token twice',
      {
        tokens: [
          { sha256: hash, rights: ['metrics'] },
          { sha256: hash, rights: ['metrics'] },
        ],
      },
      ['operations.tokens[1].sha256'],
    ],
    [
      'the hash of nothing',
      {
        tokens: [{ sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', rights: ['metrics'] }],
      },
      ['operations.tokens[0].sha256'],
    ],
  ])('finds %s', (_name, config, paths) => {
    const faults = checkOperationsConfig({ listen: '127.0.0.1:8282', drain_delay_ms: 0, ...config });
    expect(faults.map(({ path }) => path)).toEqual(paths);
  });
});
