import { once } from 'node:events';
import { connect, performServerHandshake, type ServerHttp2Session } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { expect, test } from 'vitest';
import { renewStreamTable } from '../../../src/listener/grpc-streams.ts';

/** Asks `paths` at once, over one session whose table of streams is ours. */
async function askAll(paths: readonly string[], answer: (path: string) => boolean) {
  let renewed = false;
  let session: ServerHttp2Session | undefined;
  const server = createServer((socket) => {
    session = performServerHandshake(socket, {});
    renewed = renewStreamTable(session);
    session.on('error', () => undefined);
    session.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      if (!answer(headers[':path'] ?? '')) return;
      stream.respond({ ':status': 200 });
      stream.end(headers[':path']);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // What listens on TCP has an address with a port.
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => undefined);
  const ask = async (path: string): Promise<string> => {
    const stream = client.request({ ':path': path });
    stream.on('error', () => undefined);
    let text = '';
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await new Promise((resolve) => stream.on('close', resolve));
    return text;
  };
  return {
    answers: Promise.all(paths.map(ask)),
    ask,
    renewed: () => renewed,
    session: () => session,
    stop: async () => {
      client.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('the table is renewed on this Node, and thousands of calls find their streams', async () => {
  const paths = Array.from({ length: 50 }, (_, number) => `/${number}`);
  const run = await askAll(paths, () => true);
  try {
    expect(await run.answers).toEqual(paths);
    expect(run.renewed()).toBe(true);
    for (let round = 0; round < 40; round += 1) expect(await Promise.all(paths.map(run.ask))).toEqual(paths);
  } finally {
    await run.stop();
  }
});

test('a session with its own table ends all its streams when it is destroyed', async () => {
  let open = 0;
  const run = await askAll(['/a', '/b', '/c'], () => {
    open += 1;
    return false;
  });
  try {
    await expect.poll(() => open).toBe(3);
    const session = run.session();
    session?.destroy();
    expect(await run.answers).toEqual(['', '', '']);
  } finally {
    await run.stop();
  }
});

test('a session without a table of that kind is left as it is', () => {
  // Not one of Node's: what is there is all that is looked at.
  const like = (value: unknown) => ({ [Symbol('state')]: value }) as unknown as ServerHttp2Session;
  const used = new Map([[1, 'stream']]);
  for (const value of [undefined, {}, { streams: {} }, { streams: used }]) {
    expect(renewStreamTable(like(value))).toBe(false);
  }
  expect([...used]).toEqual([[1, 'stream']]);
});
