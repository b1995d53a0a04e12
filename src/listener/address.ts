import { isIP } from 'node:net';

/** Where a listener stands: a TCP address (port 0: any free one) or a unix socket. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/**
 * Reads `127.0.0.1:9191`, `[::1]:9191`, `localhost:9191` (meaning 127.0.0.1) or `unix:/run/x.sock`; throws an Error
 * that says what is wrong. Other names are not resolved: what they mean could change after it was checked.
 */
export function parseListenAddress(text: string): ListenAddress {
  return text.startsWith('unix:') ? parseUnix(text) : parseTcp(text);
}

/** Whether only this machine can reach the address over TCP; a unix socket is no loopback address. */
export function isLoopback(address: ListenAddress): boolean {
  return address.kind === 'tcp' && isLoopbackIp(address.host);
}

/** Whether an IP address, as Node prints it, is one of this machine's own loopback addresses. */
export function isLoopbackIp(ip: string): boolean {
  const v4 = ip.toLowerCase().startsWith('::ffff:') ? ip.slice('::ffff:'.length) : ip;
  return isIP(v4) === 4 ? v4.startsWith('127.') : isIP(ip) === 6 && ip === '::1';
}

/** The text that {@link parseListenAddress} reads. */
export function formatAddress(address: ListenAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return address.host.includes(':') ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Linux's `sun_path` without its final NUL; a longer path would be cut or refused at bind. */
const MAX_SOCKET_PATH_BYTES = 107;

function parseUnix(text: string): ListenAddress {
  // `unix:///run/x.sock` is how gRPC's naming writes the same path.
  const path = text.slice('unix:'.length).replace(/^\/+/, '/');
  if (!path.startsWith('/')) throw new Error(`\`${text}\` names no absolute path: write \`unix:/run/name.sock\``);
  if (path.endsWith('/') || path.includes('\0')) throw new Error(`\`${text}\` is not a path of a socket`);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new Error(`the path of \`${text}\` is longer than ${MAX_SOCKET_PATH_BYTES} bytes`);
  }
  return { kind: 'unix', path };
}

const TCP = /^(?:\[([0-9A-Fa-f:.]{2,45})\]|([0-9A-Za-z.]{1,64})):([0-9]{1,5})$/;

function parseTcp(text: string): ListenAddress {
  const match = TCP.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new Error(
      `\`${text}\` is not a listen address: write \`127.0.0.1:9191\`, \`[::1]:9191\` or \`unix:/run/x.sock\``,
    );
  }
  const [, v6, name] = match;
  if (v6 !== undefined && isIP(v6) === 6) return { kind: 'tcp', host: v6.toLowerCase(), port };
  if (name === 'localhost') return { kind: 'tcp', host: '127.0.0.1', port };
  if (name !== undefined && isIP(name) === 4) return { kind: 'tcp', host: name, port };
  throw new Error(`\`${text}\` names no IP address; names are not resolved`);
}
