import { request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface Asking {
  readonly method?: string;
  readonly path: string;
  /** A list repeats the header. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** A list is sent chunked. */
  readonly body?: string | Uint8Array | readonly Uint8Array[];
}

/** One request to the operations port, whose callers are operators: its refusals may say what is wrong. */
export function ask(port: number, { method = 'GET', path, headers = {}, body }: Asking): Promise<Answer> {
  const single = typeof body === 'string' || body instanceof Uint8Array ? body : undefined;
  const length = single === undefined ? {} : { 'content-length': String(Buffer.byteLength(single)) };
  const sent: Record<string, string | string[]> = { ...length };
  for (const [name, value] of Object.entries(headers)) sent[name] = typeof value === 'string' ? value : [...value];
  return new Promise((resolve, reject) => {
    let answered = false;
    const asked = request({ host: '127.0.0.1', port, path, method, headers: sent, agent: false }, (response) => {
      answered = true;
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const { statusCode = 0, headers: received } = response;
        resolve({ status: statusCode, headers: received, body: Buffer.concat(chunks).toString() });
      });
    });
    // A body that is refused half way breaks the pipe, after the answer.
    asked.on('error', (error) => (answered ? undefined : reject(error)));
    if (single === undefined && Array.isArray(body)) for (const chunk of body) asked.write(chunk);
    asked.end(single);
  });
}
