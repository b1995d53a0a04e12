import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Decision } from '../../../../src/decision/decision.ts';
import { deny } from '../../../../src/decision/decision.ts';
import type { ExtAuthzHttpConfig } from '../../../../src/protocols/ext-authz-http/config.ts';
import type { ExtAuthzHttpPorts } from '../../../../src/protocols/ext-authz-http/server.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import {
  type Core,
  createCore,
  DECISION_ID,
  exchange,
  exchangeOn,
  header,
  type RunningDoor,
  startDoor,
  verdict,
} from './door.ts';

const running: RunningDoor[] = [];
const allow = (): Decision => verdict({ allow: true });

afterEach(async () => {
  for (const { door } of running.splice(0)) await door.stop();
});

async function start(
  core: Core,
  config: Partial<ExtAuthzHttpConfig> = {},
  ports: Partial<ExtAuthzHttpPorts> = {},
): Promise<RunningDoor> {
  const door = await startDoor(core, config, ports);
  running.push(door);
  return door;
}

function get(target: string, ...headers: readonly string[]): string {
  return [`GET ${target} HTTP/1.1`, 'Host: h', ...headers, '', ''].join('\r\n');
}

function post(body: string, ...headers: readonly string[]): string {
  return ['POST /ext-authz/x HTTP/1.1', 'Host: h', ...headers, '', body].join('\r\n');
}

async function statusOf(core: Core, bytes: string | Buffer, config: Partial<ExtAuthzHttpConfig> = {}): Promise<number> {
  const { port } = await start(core, config);
  const [answer] = await exchange(port, bytes);
  return answer?.status ?? 0;
}

describe('a check', () => {
  test('that is allowed is answered 200 with the decision id, nothing about us, and the connection stays', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const [first, second] = await exchange(port, get('/ext-authz/a') + get('/ext-authz/b'), 2);
    expect([first?.status, second?.status]).toEqual([200, 200]);
    expect(first?.headers.map(([name]) => name)).toEqual([
      'x-envoy-auth-headers-to-remove',
      'x-sallyport-decision-id',
      'content-length',
    ]);
    expect(header(first, 'x-sallyport-decision-id')).toBe(DECISION_ID);
  });

  test('keeps its order when checks are pipelined and the first is the slowest', async () => {
    let release: (decision: Decision) => void = () => undefined;
    const slow = new Promise<Decision>((resolve) => {
      release = resolve;
    });
    const core = createCore((request) => {
      if (request.target === '/first') return slow;
      setImmediate(() => release(deny('policy_denied')));
      return allow();
    });
    const { port } = await start(core);
    const answers = await exchange(port, get('/ext-authz/first') + get('/ext-authz/second'), 2);
    expect(answers.map(({ status }) => status)).toEqual([403, 200]);
  });

  test.each(['GET', 'HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'TRACE'])(
    'may be a %s',
    async (method) => {
      const core = createCore(() => deny('policy_denied'));
      const { port } = await start(core);
      const [answer] = await exchange(port, get('/ext-authz/a').replace('GET', method));
      expect(answer?.status).toBe(403);
      expect(answer?.body.length === 0).toBe(method === 'HEAD');
      expect(core.last().method).toBe(method);
    },
  );

  test('carries bytes beyond ASCII both ways as UTF-8', async () => {
    const core = createCore(() => deny('policy_denied', { headers: [['x-name', 'Zoë']], body: 'Zoë' }));
    const { port } = await start(core);
    const bytes = Buffer.from(get('/ext-authz/x', 'X-Name: Zoë'), 'utf8');
    const [answer] = await exchange(port, bytes);
    expect(core.last().headers.all('x-name')).toEqual(['Zoë']);
    expect(header(answer, 'x-name')).toBe('Zo\xc3\xab');
    expect(answer?.body.toString()).toBe('Zoë');
  });

  test('may have 60 KiB of headers, and two thousand of them', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const [big] = await exchange(port, get('/ext-authz/x', `X-Big: ${'x'.repeat(60 * 1024)}`));
    const many = Array.from({ length: 2000 }, (_, index) => `X-A: ${index}`);
    const [numerous] = await exchange(port, get('/ext-authz/x', ...many));
    expect([big?.status, numerous?.status]).toEqual([200, 200]);
    expect(core.last().headers.all('x-a')).toHaveLength(2000);
  });

  test('with an Upgrade is an ordinary one, and so is the next on its connection', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const socket = connect({ host: '127.0.0.1', port });
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket'];
    expect(await sameConnection(socket, post('abcd', ...upgrade, 'Content-Length: 4'))).toEqual([200]);
    expect(Buffer.from(core.last().body.bytes).toString()).toBe('abcd');
    expect(core.last().headers.all('upgrade')).toEqual(['websocket']);
    expect(await sameConnection(socket, get('/ext-authz/y'))).toEqual([200]);
    expect(core.last().target).toBe('/y');
    socket.destroy();
  });
});

describe('a request target', () => {
  test.each([
    ['/ext-authz/../x', '/../x'],
    ['/ext-authz//x', '//x'],
    ['/ext-authz/%2e%2e/x?y=/ext-authz/', '/%2e%2e/x?y=/ext-authz/'],
  ])('%s is the original path %s', async (target, original) => {
    const core = createCore(allow);
    expect(await statusOf(core, get(target))).toBe(200);
    expect(core.last().target).toBe(original);
  });

  test.each([
    '/ext-authz',
    '/ext-authzX/',
    '//ext-authz/',
    '/EXT-AUTHZ/',
    '/x',
    '/',
    '/health/ready',
    '/metrics',
    '*',
    'http://h/ext-authz/x',
    'http://h/',
    'https://h/ext-authz/x',
    '/%65xt-authz/x',
    '/ext-authz/\xff',
  ])('%s is denied as unreadable', async (target) => {
    const core = createCore(allow);
    expect(await statusOf(core, get(target))).toBe(400);
    expect(core.codes()).toEqual(['malformed_request']);
  });

  test('of a CONNECT is denied, and the connection ends', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const answers = await exchange(port, `${get('h:443').replace('GET', 'CONNECT')}${get('/ext-authz/x')}`, 2);
    expect(answers.map(({ status }) => status)).toEqual([400]);
    expect(header(answers[0], 'connection')).toBe('close');
    expect(core.codes()).toEqual(['malformed_request']);
  });
});

describe('bytes that are no check', () => {
  test.each([
    ['two Host headers', get('/ext-authz/x', 'Host: h')],
    ['no Host header', 'GET /ext-authz/x HTTP/1.1\r\n\r\n'],
    ['a header that is not UTF-8', get('/ext-authz/x', 'X-A: \xff')],
    ['an expectation that nobody knows', get('/ext-authz/x', 'Expect: 200-ok')],
    ['a partial-body header that is neither', get('/ext-authz/x', 'x-envoy-auth-partial-body: maybe')],
    ['a deadline that is no number', get('/ext-authz/x', 'x-envoy-expected-rq-timeout-ms: soon')],
    ['two different content-lengths', post('abcd', 'Content-Length: 4', 'Content-Length: 2')],
    ['two equal content-lengths', post('abcd', 'Content-Length: 4', 'Content-Length: 4')],
    ['content-length and chunked', post('0\r\n\r\n', 'Content-Length: 5', 'Transfer-Encoding: chunked')],
    ['chunked and content-length', post('0\r\n\r\n', 'Transfer-Encoding: chunked', 'Content-Length: 5')],
    ['chunked twice over', post('0\r\n\r\n', 'Transfer-Encoding: chunked, identity')],
    ['a signed content-length', post('abcd', 'Content-Length: +4')],
    ['a chunk size that is none', post('zz\r\nabc\r\n0\r\n\r\n', 'Transfer-Encoding: chunked')],
    ['a folded header', get('/ext-authz/x', 'X-A: a', ' b')],
    ['a space before a colon', get('/ext-authz/x', 'X-A : a')],
    ['a NUL in a header', get('/ext-authz/x', 'X-A: a\0b')],
    ['a bare CR in a header', get('/ext-authz/x', 'X-A: a\rX-B: b')],
    ['a method that nobody knows', get('/ext-authz/x').replace('GET', 'INFER')],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS handshake', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['headers beyond the limit', get('/ext-authz/x', `X-Big: ${'x'.repeat(100 * 1024)}`)],
  ])('%s: denied with 400 and counted', async (_name, bytes) => {
    const core = createCore(allow);
    expect(await statusOf(core, bytes)).toBe(400);
    expect(core.codes()).toContain('malformed_request');
    expect(core.asked.every((request) => 'unreadable' in request)).toBe(true);
  });

  test('after a good check end the connection once and take nothing back', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const answers = await exchange(port, `${get('/ext-authz/x')}\0\0\0 garbage\r\n\r\n${get('/ext-authz/y')}`, 3);
    expect(answers.map(({ status }) => status)).toEqual(expect.arrayContaining([400]));
    expect(answers.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    expect(answers.at(-1)?.status).toBe(400);
  });

  test('a connection that is opened and closed again is no check', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise((resolve) => socket.once('connect', resolve));
    await new Promise((resolve) => socket.once('close', resolve).destroy());
    expect((await exchange(port, get('/ext-authz/x')))[0]?.status).toBe(200);
    expect(core.asked).toHaveLength(1);
  });
});

describe('a body', () => {
  const chunked = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

  test.each([
    ['of a declared length', post('abcd', 'Content-Length: 4')],
    ['in chunks', post(chunked('abcd'), 'Transfer-Encoding: chunked')],
  ])('%s is read', async (_name, bytes) => {
    const core = createCore(allow);
    expect(await statusOf(core, bytes)).toBe(200);
    expect(Buffer.from(core.last().body.bytes).toString()).toBe('abcd');
    expect(core.last()).not.toHaveProperty('declaredLength');
  });

  test('exactly at the limit passes', async () => {
    const core = createCore(allow);
    expect(await statusOf(core, post('x'.repeat(1000), 'Content-Length: 1000'))).toBe(200);
  });

  test.each([
    ['declared', post('', 'Content-Length: 1001')],
    ['declared beyond every number', post('', 'Content-Length: 9007199254740993')],
    ['in chunks', post(`3e9\r\n${'x'.repeat(1001)}`, 'Transfer-Encoding: chunked')],
    ['expected to be told to go on', post('', 'Content-Length: 1001', 'Expect: 100-continue')],
  ])(
    'beyond the limit, %s, is denied before the rest comes, and what never comes ends the connection',
    async (_n, bytes) => {
      const core = createCore(allow);
      const cut: (() => void)[] = [];
      const { port } = await start(
        core,
        {},
        {
          startTimer: (delayMs, late) => {
            if (delayMs === 1000) cut.push(late);
            return () => undefined;
          },
        },
      );
      const socket = connect({ host: '127.0.0.1', port });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      const text = await new Promise<string>((resolve) => {
        socket.once('data', (chunk) => resolve(chunk.toString('latin1')));
        socket.write(bytes);
      });
      expect(text).toMatch(/^HTTP\/1\.1 413 /);
      expect(core.codes()).toEqual(['payload_too_large']);
      expect(cut).toHaveLength(1);
      cut[0]?.();
      await closed;
    },
  );

  test('beyond the limit that comes whole leaves the connection usable', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const answers = await exchange(port, post('x'.repeat(1001), 'Content-Length: 1001') + get('/ext-authz/x'), 2);
    expect(answers.map(({ status }) => status)).toEqual([413, 200]);
  });

  test('that waits for `100 Continue` is told to go on', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const socket = connect({ host: '127.0.0.1', port });
    const [interim] = await new Promise<string[]>((resolve) => {
      socket.once('data', (chunk) => resolve([chunk.toString('latin1')]));
      socket.write(post('', 'Content-Length: 4', 'Expect: 100-continue'));
    });
    expect(interim).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    const [answer] = await exchangeOn(socket, 'abcd');
    expect(answer?.status).toBe(200);
    expect(core.last().headers.all('expect')).toEqual([]);
  });

  test('that its caller breaks off is recorded and allows nothing', async () => {
    const core = createCore(allow);
    const { port } = await start(core);
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise<void>((resolve) => socket.write(post('ab', 'Content-Length: 4'), () => resolve()));
    await expect.poll(async () => (await exchange(port, get('/ext-authz/other'))).length).toBe(1);
    socket.resetAndDestroy();
    await expect.poll(() => core.codes()).toEqual(['malformed_request']);
  });
});

describe('the deadline', () => {
  test.each([
    [[], 120],
    [['x-envoy-expected-rq-timeout-ms: 200'], 120],
    [['x-envoy-expected-rq-timeout-ms: 50'], 40],
  ])('with %j the core has %d ms', async (headers, ms) => {
    const core = createCore(allow);
    const { port } = await start(core, { deadline_ms: 150 }, { clock: createManualClock() });
    await exchange(port, get('/ext-authz/x', ...headers));
    expect(core.last().deadlineMs).toBeCloseTo(ms, 6);
  });

  test('of 0 ms is a denial at once', async () => {
    const core = createCore(allow);
    expect(await statusOf(core, get('/ext-authz/x', 'x-envoy-expected-rq-timeout-ms: 0'))).toBe(403);
    expect(core.codes()).toEqual(['deadline']);
  });

  test('counts from the arrival of the head, so a slow body eats it up', async () => {
    const core = createCore(allow);
    const clock = createManualClock();
    const { port } = await start(core, { deadline_ms: 150 }, { clock, startTimer: clock.startTimer });
    const socket = connect({ host: '127.0.0.1', port });
    socket.write(post('ab', 'Content-Length: 4'));
    await expect.poll(() => clock.pendingTimers()).toBe(1);
    clock.advance(100);
    const [answer] = await exchangeOn(socket, 'cd');
    expect(answer?.status).toBe(200);
    expect(core.last().deadlineMs).toBeCloseTo(20, 6);
  });

  test('denies a body that does not come in time', async () => {
    const core = createCore(allow);
    const clock = createManualClock();
    const { port } = await start(core, { deadline_ms: 150 }, { clock, startTimer: clock.startTimer });
    const answered = exchange(port, post('ab', 'Content-Length: 4'));
    await expect.poll(() => clock.pendingTimers()).toBe(1);
    clock.advance(120);
    expect((await answered)[0]?.status).toBe(403);
    expect(core.codes()).toEqual(['deadline']);
  });
});

describe('overload', () => {
  test('is denied at once while the bound is reached, and over when a check leaves', async () => {
    const waiting: ((decision: Decision) => void)[] = [];
    const core = createCore(() => new Promise<Decision>((resolve) => waiting.push(resolve)));
    const { port } = await start(core, { max_in_flight: 2 });
    const held = [exchange(port, get('/ext-authz/a')), exchange(port, get('/ext-authz/b'))];
    await expect.poll(() => waiting.length).toBe(2);
    const [refused] = await exchange(port, get('/ext-authz/c'));
    expect(refused?.status).toBe(403);
    expect(core.codes()).toEqual(['overloaded']);
    for (const release of waiting.splice(0)) release(allow());
    expect((await Promise.all(held)).map(([answer]) => answer?.status)).toEqual([200, 200]);
    const next = exchange(port, get('/ext-authz/d'));
    await expect.poll(() => waiting.length).toBe(1);
    waiting[0]?.(allow());
    expect((await next)[0]?.status).toBe(200);
  });
});

describe('a bug', () => {
  test.each([
    ['a core that throws', () => Promise.reject(new Error('bug'))],
    ['a core that answers nothing', () => undefined],
    ['a decision of no kind', () => ({})],
    ['a decision that is null', () => null],
    ['an allow that nobody made', () => Object.assign({}, allow())],
    ['a header that cannot be sent', () => deny('policy_denied', { headers: [['x-a', 'a\r\nx-b: b']] })],
    ['a header name that cannot be sent', () => deny('policy_denied', { headers: [['x a', 'b']] })],
    ['a body that is no text', () => ({ ...deny('policy_denied'), body: 7 })],
  ])('%s is a 403', async (_name, decide) => {
    // Stands for a bug, so the types are broken on purpose.
    const core = createCore(decide as () => Decision);
    const { port } = await start(core);
    const answers = await exchange(port, get('/ext-authz/x') + get('/ext-authz/y'), 2);
    expect(answers.map(({ status }) => status)).toEqual([403, 403]);
  });

  test('is reported', async () => {
    const faults: unknown[] = [];
    const core = createCore(() => Promise.reject(new Error('bug')));
    const { port } = await start(core, {}, { onFault: (cause) => faults.push(cause) });
    await exchange(port, get('/ext-authz/x'));
    expect(faults).toEqual([new Error('bug')]);
  });
});

test('on the wire 200 is for an Allow only and a denial of any status is 400–499', async () => {
  let status = -1;
  const core = createCore(() => deny('policy_denied', { status }));
  const { port } = await start(core);
  const socket = connect({ host: '127.0.0.1', port });
  for (; status <= 1000; status += 1) {
    const [answer] = await sameConnection(socket, get('/ext-authz/x'));
    expect(answer).toBe(status >= 400 && status <= 499 ? status : 403);
  }
  socket.destroy();
});

/** One exchange on a connection that is kept. */
function sameConnection(socket: Socket, bytes: string): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1');
      const length = Number(/content-length: ([0-9]+)/.exec(text)?.[1] ?? Number.NaN);
      const head = text.indexOf('\r\n\r\n');
      if (head < 0 || text.length < head + 4 + length) return;
      socket.off('data', read);
      socket.off('close', reject);
      resolve([Number(text.slice(9, 12))]);
    };
    socket.on('data', read);
    socket.once('close', reject);
    socket.write(bytes);
  });
}

describe('the end', () => {
  test('a door that is not serving still answers and ends each connection with the answer, until it serves', async () => {
    const core = createCore(allow);
    const { door, port } = await start(core);
    door.setServing(false);
    const answers = await exchange(port, get('/ext-authz/x') + get('/ext-authz/y'), 2);
    expect(answers.map(({ status }) => status)).toEqual([200]);
    expect(header(answers[0], 'connection')).toBe('close');
    door.setServing(true);
    const later = await exchange(port, get('/ext-authz/x') + get('/ext-authz/y'), 2);
    expect(later.map((answer) => header(answer, 'connection'))).toEqual([undefined, undefined]);
  });

  test('stop waits for checks under way and closes connections that are kept alive', async () => {
    const waiting: ((decision: Decision) => void)[] = [];
    const core = createCore((request) =>
      request.target === '/slow' ? new Promise<Decision>((resolve) => waiting.push(resolve)) : allow(),
    );
    const { door, port } = await startDoor(core, {}, { graceMs: 60_000 });
    const idle = connect({ host: '127.0.0.1', port });
    expect(await sameConnection(idle, get('/ext-authz/x'))).toEqual([200]);
    const unused = connect({ host: '127.0.0.1', port });
    const closed = Promise.all([idle, unused].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    const slow = exchange(port, get('/ext-authz/slow'));
    await expect.poll(() => waiting.length).toBe(1);
    const stopped = door.stop();
    await closed;
    waiting[0]?.(allow());
    expect((await slow)[0]?.status).toBe(200);
    await stopped;
    expect(await exchange(port, get('/ext-authz/x'))).toEqual([]);
  });

  test('stop cuts a check that does not end within the grace', async () => {
    const core = createCore(() => new Promise<Decision>(() => undefined));
    const { door, port } = await startDoor(core, {}, { graceMs: 20 });
    const hanging = exchange(port, get('/ext-authz/x'));
    await expect.poll(() => core.asked.length).toBe(1);
    await door.stop();
    expect(await hanging).toEqual([]);
  });
});
