import { createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';

/** The floor under every gRPC server on Node: reads a message, sends it back, does nothing else. */
const server = createServer();
server.on('stream', (stream) => {
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => undefined);
  stream.on('end', () => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.end(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
  });
});
server.listen(0, '127.0.0.1', () => {
  // A TCP server that listens has an AddressInfo.
  console.log(`listening ${(server.address() as AddressInfo).port}`);
});
