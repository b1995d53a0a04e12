import { type ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

/** What grpc-js was about to answer. */
export interface GrpcError {
  readonly code?: status | null | undefined;
  readonly details?: string | null | undefined;
}

export interface DenyInsteadOfErrorPorts {
  /** The method whose calls are never answered with an error. */
  readonly path: string;
  /** Makes the denial that is sent instead; `asked`: the call was handed over before. Must not reject. */
  readonly deny: (error: GrpcError, asked: boolean) => Promise<Buffer>;
}

/**
 * Answers a denial wherever grpc-js would answer a status that is not OK: a message over its limit or in an unknown
 * compression, a bad `grpc-timeout`, a call without a message, a deadline. To Envoy a gRPC status that is not OK is an
 * error, and under `failure_mode_allow` an error passes. It replaces methods of the call itself, because grpc-js
 * reports its own faults below every interceptor; a test holds each of these cases. A call that was denied here is not
 * handed over any more: it would be decided, charged and recorded a second time.
 */
export function denyInsteadOfError({ path, deny }: DenyInsteadOfErrorPorts): ServerInterceptor {
  return (method, call) => {
    // grpc-js takes any call of this interface here; only its type asks for the class that wraps one.
    const same = call as ServerInterceptingCall;
    if (method.path !== path) return same;
    const start = call.start.bind(call);
    const sendMessage = call.sendMessage.bind(call);
    const sendStatus = call.sendStatus.bind(call);
    let answer: 'none' | 'coming' | 'sent' = 'none';
    let asked = false;
    call.start = (listener) =>
      start({
        onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
        onReceiveMessage: (message) => {
          if (answer === 'none') listener.onReceiveMessage(message);
        },
        onReceiveHalfClose: () => {
          if (answer !== 'none') return;
          asked = true;
          listener.onReceiveHalfClose();
        },
        onCancel: () => listener.onCancel(),
      });
    call.sendMessage = (message, callback) => {
      // INVARIANT: one message a call; after a denial was promised nothing else is sent.
      if (answer !== 'none') return;
      answer = 'sent';
      sendMessage(message, callback);
    };
    call.sendStatus = (given) => {
      if (answer === 'coming') return;
      if (answer === 'sent') {
        sendStatus(OK);
        return;
      }
      answer = 'coming';
      void deny(given, asked).then((bytes) => {
        answer = 'sent';
        sendMessage(bytes, () => sendStatus(OK));
      });
    };
    return same;
  };
}

const OK = { code: status.OK, details: 'OK', metadata: null };
