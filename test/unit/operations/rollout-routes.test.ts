import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseStrictJson } from '../../../src/identity/strict-json.ts';
import type { OperationAnswer } from '../../../src/operations/problem.ts';
import { createOperations, type Operations } from '../../../src/operations/server.ts';
import { createManualClock } from '../../support/manual-clock.ts';
import { ask } from './ask.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

let operations: Operations;
let port = 0;
let asked: unknown[];
let answer: OperationAnswer;

beforeEach(async () => {
  asked = [];
  answer = { status: 200, body: { state: 'pinned' } };
  operations = createOperations({
    config: {
      listen: '127.0.0.1:0',
      drain_delay_ms: 0,
      tokens: [
        { sha256: sha256('operator'), rights: ['rollout'] },
        { sha256: sha256('viewer'), rights: ['status'] },
      ],
    },
    health: { live: () => true, ready: () => ({ ready: true, reasons: [] }), bundlesReady: () => true },
    metricsText: async () => 'm 1\n',
    metricsContentType: 'text/plain',
    rollout: {
      status: () => ({ bundles: {} }),
      rollout: () => ({ state: 'idle' }),
      change: (action, change) => {
        asked.push([action, change]);
        return answer;
      },
      parseJson: parseStrictJson,
    },
    startTimer: createManualClock().startTimer,
  });
  const { address } = await operations.start();
  port = address.kind === 'tcp' ? address.port : 0;
});
afterEach(() => operations.stop());

const OPERATOR = { authorization: 'Bearer operator', 'content-type': 'application/json' };
const post = (action: string, body: string, headers: Readonly<Record<string, string>> = OPERATOR) =>
  ask(port, { method: 'POST', path: `/v1/rollout/${action}`, headers, body });

describe('status and rollout', () => {
  test('can be seen from this machine without a token, and not by a web page', async () => {
    expect(JSON.parse((await ask(port, { path: '/v1/status' })).body)).toEqual({ bundles: {} });
    expect(JSON.parse((await ask(port, { path: '/v1/rollout' })).body)).toEqual({ state: 'idle' });
    const headers = { origin: 'https://evil.test' };
    expect((await ask(port, { path: '/v1/rollout', headers })).status).toBe(403);
  });

  test.each(['/v1/status', '/v1/rollout'])('%s is only looked at', async (path) => {
    expect((await ask(port, { method: 'DELETE', path })).status).toBe(405);
  });
});

describe('changes of a rollout', () => {
  test.each([
    ['no token', { 'content-type': 'application/json' }, 401],
    ['a token without the right', { ...OPERATOR, authorization: 'Bearer viewer' }, 403],
    ['a foreign page', { ...OPERATOR, origin: 'https://evil.test' }, 403],
    ['no JSON', { ...OPERATOR, 'content-type': 'text/plain' }, 415],
  ])('are refused with %s', async (_name, headers, status) => {
    expect((await post('pin', '{"to":"stable"}', headers)).status).toBe(status);
    expect(asked).toEqual([]);
  });

  test('say who, by the beginning of the token’s digest', async () => {
    expect((await post('pin', '{"to":"stable","reason":"an incident"}')).status).toBe(200);
    for (const action of ['unpin', 'pause', 'resume', 'abort']) expect((await post(action, '{}')).status).toBe(200);
    expect((await post('resume', `{"sha256":"${'c'.repeat(64)}"}`)).status).toBe(200);
    const by = `token ${sha256('operator').slice(0, 12)}`;
    expect(asked).toEqual([
      ['pin', { to: 'stable', reason: 'an incident', by }],
      ['unpin', { by }],
      ['pause', { by }],
      ['resume', { by }],
      ['abort', { by }],
      ['resume', { sha256: 'c'.repeat(64), by }],
    ]);
  });

  test.each([
    ['pin', '{}'],
    ['pin', '{"to":"nowhere"}'],
    ['pin', '{"to":"stable","to":"candidate"}'],
    ['pause', '{"to":"stable"}'],
    ['pause', '{"reason":7}'],
    ['pause', '{"reason":"a\\nb"}'],
    ['abort', '{"__proto__":{}}'],
    ['resume', '{"sha256":"abc"}'],
    ['resume', '[]'],
    ['resume', 'not JSON'],
  ])('%s refuses the body %s', async (action, body) => {
    expect((await post(action, body)).status).toBe(400);
    expect(asked).toEqual([]);
  });

  test('answer a conflict with its reason', async () => {
    answer = { status: 409, reason: 'nothing_under_trial', detail: 'there is no candidate' };
    const { status, body } = await post('abort', '{}');
    expect({ status, ...JSON.parse(body) }).toMatchObject({ status: 409, reason: 'nothing_under_trial' });
  });

  test('are made by POST alone, and only those that there are', async () => {
    expect((await ask(port, { path: '/v1/rollout/pin', headers: OPERATOR })).status).toBe(405);
    expect((await post('promote', '{}')).status).toBe(413);
  });
});
