import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';

/** The method that Envoy's ext_authz filter calls, for servers that deal in raw bytes. */
export const CHECK_METHOD = '/envoy.service.auth.v3.Authorization/Check';

const raw = {
  requestStream: false,
  responseStream: false,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: (bytes: Buffer) => bytes,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: (bytes: Buffer) => bytes,
};

/** What a stand-in authorizer over gRPC answers, from the bytes of the CheckRequest. */
export type RawCheck = (request: Buffer) => Buffer;

export interface Stub {
  readonly port: number;
  stop(): Promise<void>;
}

/** An authorizer of bytes, which shows that the Envoy under test really asks and really obeys. */
export async function startGrpcStub(check: RawCheck): Promise<Stub> {
  const server = new Server();
  server.addService(
    { Check: { ...raw, path: CHECK_METHOD } },
    {
      Check: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) =>
        answer(null, check(call.request)),
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return {
    port,
    stop: async () => {
      server.forceShutdown();
    },
  };
}

/** The same over Envoy's HTTP service: answers the status that `status` names for a request target. */
export async function startHttpStub(status: (target: string) => number): Promise<Stub> {
  const server: HttpServer = createServer((request, response) => {
    request.resume();
    response.writeHead(status(request.url ?? '')).end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    // A TCP server that listens has an AddressInfo.
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
