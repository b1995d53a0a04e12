import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { checkDenial } from './denial-hygiene.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Asking {
  readonly method?: string;
  /** Sent as it is: no normalisation, unlike `fetch`. */
  readonly path?: string;
  /** A list repeats the header. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** One buffer is sent with content-length; several are sent chunked. */
  readonly body?: string | Uint8Array | readonly Uint8Array[];
  readonly timeoutMs?: number;
}

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/**
 * One HTTP/1.1 request to a loopback port, its target and headers exactly as given. Rejects where a denial reveals what
 * no client may know.
 */
export function ask(port: number, asking: Asking = {}): Promise<Answer> {
  const { method = 'GET', path = '/', headers = {}, body, timeoutMs = 15_000 } = asking;
  const single = typeof body === 'string' || body instanceof Uint8Array ? body : undefined;
  const length = single === undefined ? {} : { 'content-length': String(Buffer.byteLength(single)) };
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, method, path, agent, headers: { ...length, ...copy(headers) }, timeout: timeoutMs },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const { statusCode: status = 0, headers: answered } = response;
          const text = Buffer.concat(chunks).toString('utf8');
          try {
            checkDenial({
              status,
              contentType: answered['content-type'],
              challenge: answered['www-authenticate'],
              body: text,
            });
            resolve({ status, headers: answered, body: text });
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer in ${timeoutMs} ms`)));
    if (single !== undefined) outgoing.end(single);
    else {
      for (const chunk of Array.isArray(body) ? body : []) outgoing.write(chunk);
      outgoing.end();
    }
  });
}

function copy(headers: NonNullable<Asking['headers']>): Record<string, string | string[]> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
  );
}
