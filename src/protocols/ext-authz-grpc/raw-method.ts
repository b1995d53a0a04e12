import type { MethodDefinition } from '@grpc/grpc-js';

/** A gRPC method whose messages stay bytes: what they mean is read where a fault can still be answered. */
export type RawMethod = MethodDefinition<Buffer, Buffer>;

export function rawMethod(path: string, { responseStream }: { readonly responseStream: boolean }): RawMethod {
  return {
    path,
    requestStream: false,
    responseStream,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
}

function same(bytes: Buffer): Buffer {
  return bytes;
}
