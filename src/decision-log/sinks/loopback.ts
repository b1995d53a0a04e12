import { isIPv4 } from 'node:net';

/** Whether a host of a url can be nothing but this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'));
}
