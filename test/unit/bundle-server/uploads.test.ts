import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createUploads } from '../../../src/bundle-server/uploads.ts';
import { eventually } from '../../support/programs.ts';
import { newSigner, openServer, release, TOKENS } from './server-support.ts';

test('there are four places for uploads, two of them for one token, and they are given back', () => {
  const uploads = createUploads();
  const first = uploads.begin('a');
  expect(first).toBeDefined();
  const second = uploads.begin('a');
  expect(second).toBeDefined();
  expect(uploads.begin('a')).toBeUndefined();
  const others = [uploads.begin('b'), uploads.begin('c')];
  expect(others).not.toContain(undefined);
  expect(uploads.begin('d')).toBeUndefined();
  first?.();
  expect(uploads.begin('d')).toBeDefined();
  expect(uploads.begin('b')).toBeUndefined();
  second?.();
  expect(uploads.begin('a')).toBeDefined();
});

test('whoever sends archives while two of his are on their way is told to come again', async () => {
  const author = newSigner('author-1');
  const server = await openServer({ keys: { 'author-1': author.publicPem }, limits: { transfer_seconds: 600 } });
  onTestFinished(() => server.stop());
  const one = release(author, 1);
  const slow = [1, 2].map(() => {
    const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
    socket.write(
      `PUT /v1/bundles/authz/archives HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKENS.publish}\r\n` +
        `x-sallyport-signature: ${one.jws}\r\ncontent-length: 100000\r\n\r\nabc`,
    );
    return socket;
  });
  const refused = await eventually(async () => {
    const answer = await server.publish(one);
    return answer.status === 503 ? answer : undefined;
  }, 5000);
  expect([JSON.parse(refused.body).reason, refused.headers['retry-after']]).toEqual(['too_many_uploads', '1']);
  for (const socket of slow) socket.destroy();
  await eventually(async () => ((await server.publish(one)).status < 300 ? true : undefined));
});
