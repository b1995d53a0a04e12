import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { isLoopback, isLoopbackIp, parseListenAddress } from './address.ts';
import { type CertificateNames, certificateNames } from './certificate-names.ts';
import type { DoorListenConfig } from './config.ts';

/**
 * `believed`: the gateway itself, so what it says of peers, metadata and context extensions holds. `unbelieved`:
 * may ask, but says nothing that is believed. `refused`: may not ask; every check is denied.
 */
export type Caller = (typeof CALLERS)[number];
export const CALLERS = ['believed', 'unbelieved', 'refused'] as const;

export type CallerCheck = (socket: Socket) => Caller;

/**
 * Who asks at a door, once per connection. Where a client CA is configured only a listed certificate is believed and
 * everybody else is refused, whatever `trusted_loopback` says.
 */
export function createCallerCheck(
  config: Pick<DoorListenConfig, 'listen' | 'trusted_loopback' | 'tls' | 'allowed_callers'>,
): CallerCheck {
  const address = parseListenAddress(config.listen);
  if (config.tls?.client_ca !== undefined) {
    const allowed: ReadonlySet<string> = new Set(config.allowed_callers);
    return oncePerSocket((socket) => (hasAllowedCertificate(socket, allowed) ? 'believed' : 'refused'));
  }
  // File permissions of the socket say who can reach it.
  if (address.kind === 'unix') return () => 'believed';
  if (!config.trusted_loopback || !isLoopback(address)) return () => 'unbelieved';
  return oncePerSocket((socket) => {
    const remote = socket.remoteAddress;
    return remote !== undefined && isLoopbackIp(remote) ? 'believed' : 'unbelieved';
  });
}

/**
 * Whether a certificate's names put its bearer among the allowed: its one URI SAN or a DNS SAN. A certificate with
 * more than one URI is no X.509-SVID (SPIFFE X509-SVID, section 2) and is allowed by no name.
 */
export function isAllowedCertificate(certificate: X509Certificate, allowed: ReadonlySet<string>): boolean {
  const names: CertificateNames | undefined = certificateNames(certificate);
  if (names === undefined || names.uris.length > 1) return false;
  const [uri] = names.uris;
  return (uri?.startsWith('spiffe://') === true && allowed.has(uri)) || names.dns.some((name) => allowed.has(name));
}

/**
 * The certificate that the listener itself verified of whoever connected, as PEM, read once per connection;
 * `undefined` where it asked for none or believed none.
 */
export function createCallerCertificate(config: Pick<DoorListenConfig, 'tls'>): (socket: Socket) => string | undefined {
  if (config.tls?.client_ca === undefined) return () => undefined;
  return oncePerSocket((socket) => {
    if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
    return socket.getPeerX509Certificate()?.toString();
  });
}

function hasAllowedCertificate(socket: Socket, allowed: ReadonlySet<string>): boolean {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return false;
  const certificate = socket.getPeerX509Certificate();
  return certificate !== undefined && isAllowedCertificate(certificate, allowed);
}

function oncePerSocket<T>(judge: (socket: Socket) => T): (socket: Socket) => T {
  const known = new WeakMap<Socket, { readonly answer: T }>();
  return (socket) => {
    const before = known.get(socket);
    if (before !== undefined) return before.answer;
    const answer = judge(socket);
    known.set(socket, { answer });
    return answer;
  };
}
