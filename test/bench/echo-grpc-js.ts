import { startGrpcStub } from '../support/stub-authorizer.ts';

/** What @grpc/grpc-js costs by itself: the same bytes in and out, no codec. */
const { port } = await startGrpcStub((request) => request);
console.log(`listening ${port}`);
