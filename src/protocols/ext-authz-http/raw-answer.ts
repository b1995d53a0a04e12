import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WireAnswer } from './from-decision.ts';

/** Writes an answer where Node made no response object for it, and ends the connection once it is out. */
export function writeRawAnswer(socket: Duplex, answer: WireAnswer): void {
  // INVARIANT: nothing is left to report an error to; the answer is the last thing on this connection.
  socket.on('error', () => socket.destroy());
  const lines = [`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? 'Denied'}`];
  for (let index = 0; index + 1 < answer.headers.length; index += 2) {
    lines.push(`${answer.headers[index]}: ${answer.headers[index + 1]}`);
  }
  lines.push('connection: close', '', '');
  const head = Buffer.from(lines.join('\r\n'), 'latin1');
  socket.end(Buffer.concat([head, answer.body]), () => socket.destroy());
}
