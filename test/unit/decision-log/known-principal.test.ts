import { expect, test } from 'vitest';
import type { Principal } from '../../../src/decision/principal.ts';
import { createWriteEvent, type DecisionEvent } from '../../../src/decision-log/event.ts';
import { accessRequest, inspected, tenantA } from '../../support/core.ts';
import { logConfig } from '../../support/events.ts';
import { allowOutcome } from '../../support/outcome.ts';

/** Events of a verified token share what was worked out for its first; each must read as if it were the first. */
const TOKEN = 'Bearer eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.MEUCIQDc0FfeeCanary';

const claims = { sub: 'alice' };

function principal(parts: Partial<Principal> = {}, presented = TOKEN): Principal {
  return { ...tenantA, claims, credentials: [{ kind: 'jwt', header: 'authorization', presented }], ...parts };
}

interface Asked {
  readonly who?: Principal;
  readonly authorization?: string;
  readonly more?: readonly [string, string][];
  readonly path?: string;
}

function createEvents(): (asked: Asked) => DecisionEvent {
  const write = createWriteEvent({
    config: logConfig(),
    labels: {},
    instanceId: 'instance-1',
    nextSpanId: () => '00000000000000aa',
  });
  return ({ who = principal(), authorization = TOKEN, more = [], path = '/a' }) => {
    const request = accessRequest({ headerList: [['authorization', authorization], ...more] });
    // The line is a DecisionEvent.
    return JSON.parse(
      write(allowOutcome({ request, principal: who, inspected: inspected({ path }) }), 1).line,
    ) as DecisionEvent;
  };
}

const identity = (event: DecisionEvent): unknown => event.input['identity'];

test('the second event of a token has the identity of the first', () => {
  const eventOf = createEvents();
  expect(identity(eventOf({}))).toEqual(identity(eventOf({})));
  expect(identity(eventOf({}))).toMatchObject({ subject: 'alice', roles: ['analyst'] });
});

test('a second credential masks the identity, and only in its own event', () => {
  const eventOf = createEvents();
  const who = principal({ subject: 'alice-in-wonderland' });
  expect(eventOf({ who }).masked).toEqual([]);
  for (const name of ['cookie', 'x-api-key', 'proxy-authorization']) {
    const masked = eventOf({ who, more: [[name, 'alice-in-wonderland']] });
    expect(identity(masked)).toMatchObject({ subject: '[masked]' });
    expect(masked.masked).toEqual(['/input/identity/subject']);
  }
  const twice = eventOf({ who, more: [['authorization', 'Bearer alice-in-wonderland']] });
  expect(identity(twice)).toMatchObject({ subject: '[masked]' });
  expect(identity(eventOf({ who }))).toMatchObject({ subject: 'alice-in-wonderland' });
});

test('what was masked in the identity is noted in every event', () => {
  const eventOf = createEvents();
  const who = principal({ subject: TOKEN.slice(7) });
  for (const _ of [1, 2]) expect(eventOf({ who }).masked).toEqual(['/input/identity/subject']);
});

test('principals that share their claims and differ otherwise have their own identity and credential', () => {
  const eventOf = createEvents();
  const other = 'Bearer another-secret-token-of-another-caller';
  for (const _ of [1, 2]) {
    expect(eventOf({ path: `/${TOKEN.slice(7)}` }).input['request']).toMatchObject({ path: '/[masked]' });
    const event = eventOf({
      who: principal({ subject: 'bob', tier: 'free' }, other),
      authorization: other,
      path: `/${other.slice(7)}`,
    });
    expect(identity(event)).toMatchObject({ subject: 'bob', tier: 'free' });
    expect(event.input['request']).toMatchObject({ path: '/[masked]' });
  }
});

test('a principal whose credential is not the one in the header has both masked', () => {
  const eventOf = createEvents();
  const event = eventOf({ authorization: 'Bearer some-other-text', path: `/some-other-text/${TOKEN.slice(7)}` });
  expect(event.input['request']).toMatchObject({ path: '/[masked]/[masked]' });
});

test('a search that takes too long in one event takes nothing from the next', () => {
  const eventOf = createEvents();
  const long = `Bearer ${'ab1'.repeat(5_000)}`;
  const asked = { who: principal({}, long), authorization: long };
  const pathOf = (path: string): unknown => eventOf({ ...asked, path }).input['request'];
  expect(pathOf(`/${'xyz'.repeat(300)}`)).toMatchObject({ path: '[masked]' });
  expect(pathOf(`/${'xyz'.repeat(10)}`)).toMatchObject({ path: `/${'xyz'.repeat(10)}` });
});
