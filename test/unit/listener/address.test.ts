import { describe, expect, test } from 'vitest';
import { formatAddress, isLoopback, isLoopbackIp, parseListenAddress } from '../../../src/listener/address.ts';

describe('parseListenAddress', () => {
  test.each([
    ['127.0.0.1:9191', { kind: 'tcp', host: '127.0.0.1', port: 9191 }, true],
    ['127.0.0.1:0', { kind: 'tcp', host: '127.0.0.1', port: 0 }, true],
    ['localhost:9191', { kind: 'tcp', host: '127.0.0.1', port: 9191 }, true],
    ['127.9.9.9:1', { kind: 'tcp', host: '127.9.9.9', port: 1 }, true],
    ['[::1]:9191', { kind: 'tcp', host: '::1', port: 9191 }, true],
    ['[::]:65535', { kind: 'tcp', host: '::', port: 65535 }, false],
    ['0.0.0.0:9191', { kind: 'tcp', host: '0.0.0.0', port: 9191 }, false],
    ['10.0.0.1:9191', { kind: 'tcp', host: '10.0.0.1', port: 9191 }, false],
    ['unix:/run/x.sock', { kind: 'unix', path: '/run/x.sock' }, false],
    ['unix:///run/x.sock', { kind: 'unix', path: '/run/x.sock' }, false],
  ] as const)('reads %s', (text, address, loopback) => {
    expect(parseListenAddress(text)).toEqual(address);
    expect(isLoopback(address)).toBe(loopback);
    expect(parseListenAddress(formatAddress(address))).toEqual(address);
  });

  test.each([
    '',
    '9191',
    ':9191',
    '127.0.0.1',
    '127.0.0.1:',
    '127.0.0.1:65536',
    '127.0.0.1:-1',
    '127.0.0.1:9191 ',
    '127.1:9191',
    '0177.0.0.1:9191',
    'gateway.example:9191',
    '::1:9191',
    '[::1%lo]:9191',
    '[127.0.0.1]:9191',
    'unix:',
    'unix:x.sock',
    'unix:@abstract',
    'unix:/',
    'unix:/run/',
    'unix:/run/\0x',
    `unix:/${'x'.repeat(107)}`,
    'UNIX:/run/x.sock',
    'http://127.0.0.1:9191',
  ])('refuses %j', (text) => {
    expect(() => parseListenAddress(text)).toThrow(/`/);
  });

  test.each([
    ['::ffff:127.0.0.1', true],
    ['::1', true],
    ['127.0.0.1', true],
    ['::ffff:10.0.0.1', false],
    ['127.example', false],
    ['::', false],
  ])('knows whether %s is loopback', (ip, loopback) => {
    expect(isLoopbackIp(ip)).toBe(loopback);
  });
});
