import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createRights, type OperationsCaller } from '../../../src/operations/rights.ts';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const LISTEN = '0.0.0.0:8282';
const rights = createRights({
  listen: LISTEN,
  hosts: ['ops.example'],
  tokens: [
    { sha256: sha256('reader'), rights: ['metrics'] },
    { sha256: sha256('nobody'), rights: [] },
    { sha256: sha256('meter'), rights: ['usage'] },
    { sha256: sha256('viewer'), rights: ['quota'] },
  ],
});

const local: OperationsCaller = {
  remoteAddress: '127.0.0.1',
  localAddress: '127.0.0.1',
  hosts: ['127.0.0.1:8282'],
  origins: [],
  authorizations: [],
};
const remote: OperationsCaller = {
  ...local,
  remoteAddress: '10.0.0.9',
  localAddress: '::ffff:10.0.0.1',
  hosts: ['10.0.0.1:8282'],
};

describe('judge', () => {
  test.each<[string, Partial<OperationsCaller>, string]>([
    ['on loopback', {}, 'granted'],
    ['on IPv6 loopback', { remoteAddress: '::1', hosts: ['[::1]:8282'] }, 'granted'],
    ['by the name localhost, on another port', { hosts: ['LOCALHOST:9999'] }, 'granted'],
    ['by a configured name', { hosts: ['ops.example'] }, 'granted'],
    ['by a name that DNS was rebound from', { hosts: ['attacker.example:8282'] }, 'foreign'],
    ['by a name that ends like ours', { hosts: ['ops.example.attacker.example'] }, 'foreign'],
    ['by a name that looks like loopback', { hosts: ['127.attacker.example'] }, 'foreign'],
    ['by another address', { hosts: ['10.0.0.1:8282'] }, 'foreign'],
    ['by no name', { hosts: [] }, 'foreign'],
    ['by two names', { hosts: ['localhost', 'localhost'] }, 'foreign'],
    ['by a name with credentials', { hosts: ['x@localhost'] }, 'foreign'],
    ['by a name with a path', { hosts: ['localhost/x'] }, 'foreign'],
    ['from its own page', { origins: ['http://127.0.0.1:8282'] }, 'granted'],
    ['from a foreign page', { origins: ['http://attacker.example'] }, 'foreign'],
    ['from a page on another port', { origins: ['http://127.0.0.1:3000'] }, 'foreign'],
    ['from a page without origin', { origins: ['null'] }, 'foreign'],
    ['over a connection that is gone', { remoteAddress: undefined }, 'unauthenticated'],
  ])('a caller %s: %3$s', (_name, parts, expected) => {
    expect(rights.judge({ ...local, ...parts }, 'metrics')).toBe(expected);
  });

  test.each<[string, Partial<OperationsCaller>, string]>([
    ['without a token', {}, 'unauthenticated'],
    ['with the right token', { authorizations: ['Bearer reader'] }, 'granted'],
    ['with the scheme in other case', { authorizations: ['bearer reader'] }, 'granted'],
    ['with a token that has no such right', { authorizations: ['Bearer nobody'] }, 'forbidden'],
    ['with a token that nobody knows', { authorizations: ['Bearer reader2'] }, 'unauthenticated'],
    ['with the hash itself', { authorizations: [`Bearer ${sha256('reader')}`] }, 'unauthenticated'],
    ['with an empty token', { authorizations: ['Bearer '] }, 'unauthenticated'],
    ['with two tokens', { authorizations: ['Bearer reader', 'Bearer reader'] }, 'unauthenticated'],
    ['with another scheme', { authorizations: ['Basic reader'] }, 'unauthenticated'],
    ['with the right token and a foreign name', { authorizations: ['Bearer reader'], hosts: ['x.example'] }, 'foreign'],
    [
      'with the right token and a foreign page',
      { authorizations: ['Bearer reader'], origins: ['http://x'] },
      'foreign',
    ],
    ['that says it is loopback', { hosts: ['127.0.0.1:8282'] }, 'unauthenticated'],
  ])('a caller off loopback %s: %3$s', (_name, parts, expected) => {
    expect(rights.judge({ ...remote, ...parts }, 'metrics')).toBe(expected);
  });

  test.each<[string, 'usage' | 'quota', Partial<OperationsCaller>, string]>([
    ['without a token', 'usage', {}, 'unauthenticated'],
    ['without a token', 'quota', {}, 'unauthenticated'],
    ['that may read metrics', 'usage', { authorizations: ['Bearer reader'] }, 'forbidden'],
    ['that may report usage', 'quota', { authorizations: ['Bearer meter'] }, 'forbidden'],
    ['that may see quotas', 'usage', { authorizations: ['Bearer viewer'] }, 'forbidden'],
    ['that may report usage', 'usage', { authorizations: ['Bearer meter'] }, 'granted'],
    ['that may see quotas', 'quota', { authorizations: ['Bearer viewer'] }, 'granted'],
    [
      'on a foreign page',
      'usage',
      { authorizations: ['Bearer meter'], origins: ['http://attacker.example'] },
      'foreign',
    ],
    ['by a foreign name', 'usage', { authorizations: ['Bearer meter'], hosts: ['attacker.example'] }, 'foreign'],
  ])('a caller on loopback %s, for `%s`: %4$s', (_name, right, parts, expected) => {
    expect(rights.judge({ ...local, ...parts }, right)).toBe(expected);
  });

  test('a unix socket is local, and needs a token all the same to report usage', () => {
    const unix = createRights({ listen: 'unix:/run/x.sock' });
    const caller = { ...local, remoteAddress: undefined, localAddress: undefined, hosts: ['localhost'] };
    expect(unix.judge(caller, 'metrics')).toBe('granted');
    expect(unix.judge(caller, 'usage')).toBe('unauthenticated');
  });

  test('without tokens nobody off loopback gets in', () => {
    const none = createRights({ listen: LISTEN });
    expect(none.judge({ ...remote, authorizations: ['Bearer '] }, 'metrics')).toBe('unauthenticated');
    expect(none.judge({ ...remote, authorizations: ['Bearer x'] }, 'metrics')).toBe('unauthenticated');
  });
});
