/** The statuses of gRPC that are answered here (google.rpc.Code). */
export const GRPC_STATUS = { ok: 0, invalidArgument: 3, notFound: 5, resourceExhausted: 8, unimplemented: 12 } as const;

export type GrpcStatus = (typeof GRPC_STATUS)[keyof typeof GRPC_STATUS];
