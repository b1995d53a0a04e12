import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkDoorListen, type DoorListenConfig, doorListenSchemaProperties } from '../../../src/listener/config.ts';
import { type CertificateFiles, type CertificateMaker, createCertificateMaker } from '../../support/certificates.ts';
import { describeWith } from '../../support/describe-with.ts';

const loopback: DoorListenConfig = { listen: '127.0.0.1:0', trusted_loopback: false, max_in_flight: 10 };

function paths(config: DoorListenConfig, insecureUnauthenticatedDoor = false): readonly string[] {
  return checkDoorListen('doors.x', config, { insecureUnauthenticatedDoor }).map(({ path }) => path);
}

describe('doorListenSchemaProperties', () => {
  const schema = {
    type: 'object',
    properties: doorListenSchemaProperties,
    required: ['listen'],
    additionalProperties: false,
  };

  test('fills in the defaults', () => {
    const validate = new Ajv2020({ useDefaults: true, strict: true }).compile(schema);
    const config = { listen: '127.0.0.1:0' };
    expect(validate(config)).toBe(true);
    expect(config).toEqual({ listen: '127.0.0.1:0', trusted_loopback: false, max_in_flight: 1000 });
  });
});

describe('checkDoorListen', () => {
  test.each([
    ['a loopback door', loopback, []],
    ['a trusted loopback door', { ...loopback, trusted_loopback: true }, []],
    ['a unix socket', { ...loopback, listen: 'unix:/run/x.sock' }, []],
    ['an unguarded door off loopback', { ...loopback, listen: '0.0.0.0:9191' }, ['doors.x.listen']],
    ['an unguarded door on every IPv6 address', { ...loopback, listen: '[::]:9191' }, ['doors.x.listen']],
    [
      'trust off loopback',
      { ...loopback, listen: '10.0.0.1:9191', trusted_loopback: true },
      ['doors.x.trusted_loopback', 'doors.x.listen'],
    ],
    [
      'trust in a loopback that is none on a unix socket',
      { ...loopback, listen: 'unix:/run/x.sock', trusted_loopback: true },
      ['doors.x.trusted_loopback'],
    ],
    ['a listen address that cannot be read', { ...loopback, listen: 'gateway:1' }, ['doors.x.listen']],
    ['callers without a CA', { ...loopback, allowed_callers: ['spiffe://td/x'] }, ['doors.x.allowed_callers']],
    [
      'callers that are no names',
      {
        ...loopback,
        allowed_callers: ['spiffe://TD/x', 'spiffe://td', 'spiffe://td/../x', '*.example', 'A.example', 'a b'],
      },
      [...[0, 1, 2, 3, 4, 5].map((index) => `doors.x.allowed_callers[${index}]`), 'doors.x.allowed_callers'],
    ],
    [
      'missing files, all of them',
      {
        ...loopback,
        tls: { cert: '/nowhere/a', key: '/nowhere/b', client_ca: '/nowhere/c' },
        allowed_callers: ['a.example'],
      },
      ['doors.x.tls.cert', 'doors.x.tls.key', 'doors.x.tls.client_ca'],
    ],
  ])('finds the faults of %s', (_name, config, expected) => {
    expect(paths(config)).toEqual(expected);
  });

  test('`insecure.unauthenticated_door` opens a door off loopback, and nothing else', () => {
    expect(paths({ ...loopback, listen: '0.0.0.0:9191' }, true)).toEqual([]);
    expect(paths({ ...loopback, listen: '0.0.0.0:9191', trusted_loopback: true }, true)).toEqual([
      'doors.x.trusted_loopback',
    ]);
  });
});

describeWith(['openssl'], 'checkDoorListen with files', () => {
  let maker: CertificateMaker;
  let mine: CertificateFiles;
  let other: CertificateFiles;

  beforeAll(() => {
    maker = createCertificateMaker();
    mine = maker.make('mine');
    other = maker.make('other');
  });
  afterAll(() => maker.remove());

  test('a guarded door off loopback is right', () => {
    const tls = { ...mine, client_ca: other.cert };
    expect(paths({ ...loopback, listen: '0.0.0.0:9191', tls, allowed_callers: ['spiffe://td/gateway'] })).toEqual([]);
  });

  test.each([
    ['a CA without callers', () => ({ ...mine, client_ca: other.cert }), ['doors.x.tls.client_ca', 'doors.x.listen']],
    [
      'a key of another certificate',
      () => ({ cert: mine.cert, key: other.key }),
      ['doors.x.tls.key', 'doors.x.listen'],
    ],
    ['a key that is a certificate', () => ({ cert: mine.cert, key: mine.cert }), ['doors.x.tls.key', 'doors.x.listen']],
    [
      'a folder for a certificate',
      () => ({ cert: maker.folder, key: mine.key }),
      ['doors.x.tls.cert', 'doors.x.listen'],
    ],
    [
      'a CA that is a key',
      () => ({ ...mine, client_ca: mine.key }),
      ['doors.x.tls.client_ca', 'doors.x.tls.client_ca'],
    ],
  ])('finds %s', (_name, tls, expected) => {
    const found = paths({ ...loopback, listen: '0.0.0.0:9191', tls: tls() });
    // The door stays unguarded as well unless a CA is named.
    expect(found).toEqual(expected.filter((path) => !(path === 'doors.x.listen' && 'client_ca' in tls())));
  });

  test('a private key never shows in a fault', () => {
    const broken = join(maker.folder, 'mine.key');
    const faults = checkDoorListen(
      'doors.x',
      { ...loopback, tls: { cert: broken, key: mine.cert } },
      { insecureUnauthenticatedDoor: false },
    );
    expect(faults.map(({ message }) => message).join()).not.toContain('PRIVATE');
  });
});
