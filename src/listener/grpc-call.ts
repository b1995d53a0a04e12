import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Deadline, Deadlines } from './deadlines.ts';
import { createMessageReader, type MessageFault, type MessageReader } from './grpc-message.ts';
import { GRPC_STATUS, type GrpcStatus } from './grpc-status.ts';

/** What is wrong with a call as a call; `late` that its deadline came first. */
export interface CallFault {
  readonly kind: MessageFault['kind'] | 'late';
  readonly cause: string;
  /** Whether the message was handed over before. */
  readonly asked: boolean;
}

/** Takes what a call asks. Neither function may throw. */
export interface CallReceiver {
  /** The one message, once the client has said that it is whole. */
  message(call: GrpcCall, message: Buffer): void;
  /** Instead of the message, or after it when an answer did not come in time; at most once. */
  fault(call: GrpcCall, fault: CallFault): void;
}

export interface CallLimits {
  /** The share of the caller's time after which a call that was asked is answered all the same. */
  readonly answeredAt?: number;
  readonly maxMessageBytes: number;
  /** Tell a call that it is {@link GrpcCall.late}. */
  readonly deadlines: Deadlines<GrpcCall>;
}

const CALL = Symbol('call');
type Carrier = ServerHttp2Stream & { [CALL]: GrpcCall };

// The listeners of every call's stream, which find their call on it: made once, in the class, for its private members.
let onData: (this: Carrier, chunk: Buffer) => void;
let onEnd: (this: Carrier) => void;
let onClose: (this: Carrier) => void;
let onWantTrailers: (this: Carrier) => void;

/**
 * One gRPC call with a single message in (github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), on Node's own
 * HTTP/2: what a client gets is decided by its receiver alone, and never by a library that answers errors of its own.
 */
export class GrpcCall {
  readonly #stream: ServerHttp2Stream;
  readonly #receiver: CallReceiver;
  readonly #reader: MessageReader;
  readonly #timeoutMs: number | undefined;
  readonly #startMs = performance.now();
  readonly #deadline: Deadline | undefined;
  #asked = false;
  #faulty = false;
  #ended = false;
  #answering = false;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, receiver: CallReceiver, limits: CallLimits) {
    this.#stream = stream;
    this.#receiver = receiver;
    this.#reader = createMessageReader(headers['grpc-encoding'], limits.maxMessageBytes);
    (stream as Carrier)[CALL] = this;
    stream.on('data', onData);
    stream.on('end', onEnd);
    // Whoever hung up is told nothing.
    stream.on('error', ignore);
    const timeout = parseTimeout(headers['grpc-timeout']);
    const fault = faultOf(headers, timeout);
    if (fault !== undefined) {
      this.#fail('malformed', fault);
      return;
    }
    if (timeout !== 'malformed') this.#timeoutMs = timeout;
    const share = limits.answeredAt ?? ANSWERED_AT;
    this.#deadline = limits.deadlines.start((this.#timeoutMs ?? MAX_CALL_MS) * share, this);
    stream.on('close', onClose);
  }

  static {
    onData = function onData(this: Carrier, chunk: Buffer): void {
      this[CALL].#read(chunk);
    };
    onEnd = function onEnd(this: Carrier): void {
      this[CALL].#end();
    };
    onClose = function onClose(this: Carrier): void {
      this[CALL].unlimit();
    };
    onWantTrailers = function onWantTrailers(this: Carrier): void {
      this[CALL].#finish();
    };
  }

  /** What is left of the client's time, in milliseconds; `undefined` when it named none. */
  remainingMs(): number | undefined {
    if (this.#timeoutMs === undefined) return undefined;
    return Math.max(0, this.#timeoutMs - (performance.now() - this.#startMs));
  }

  /** Answers one message and ends the call, unless it is answered or was cancelled. */
  answer(message: Uint8Array): void {
    if (!this.#begin()) return;
    this.#stream.end(framed(message));
  }

  /** Sends one message of several; does nothing after the end. */
  send(message: Uint8Array): void {
    if (!this.#answering && !this.#begin()) return;
    if (this.#stream.writable) this.#stream.write(framed(message));
  }

  /** Ends a call to which messages were sent. */
  end(): void {
    if (this.#answering && this.#stream.writable) this.#stream.end();
  }

  /** Answers a status that is not OK and no message. `details` is ASCII. */
  refuse(status: GrpcStatus, details: string): void {
    if (this.#answering || this.#stream.destroyed || this.#stream.closed) return;
    this.#answering = true;
    this.unlimit();
    const headers = { ':status': 200, ...CONTENT_TYPE, 'grpc-status': String(status), 'grpc-message': details };
    this.#stream.respond(headers, { endStream: true });
  }

  onClose(closed: () => void): void {
    this.#stream.on('close', closed);
  }

  /** The time of a call whose answers come over hours is not limited, once it has been asked. */
  unlimit(): void {
    this.#deadline?.cancel();
  }

  /** Its deadline is over. */
  late(): void {
    if (!this.#answering && !this.#faulty) this.#fail('late', 'the call was not whole before its deadline');
  }

  #begin(): boolean {
    // INVARIANT: one answer a call, whoever comes first.
    if (this.#answering || this.#stream.destroyed || this.#stream.closed) return false;
    this.#answering = true;
    this.unlimit();
    this.#stream.on('wantTrailers', onWantTrailers);
    this.#stream.respond(HEADERS, WITH_TRAILERS);
    return true;
  }

  #finish(): void {
    this.#stream.sendTrailers(OK_TRAILERS);
    // The client is still sending what nobody reads; the trailers go out first.
    if (!this.#ended) setImmediate(() => this.#stream.close(constants.NGHTTP2_NO_ERROR));
  }

  #read(chunk: Buffer): void {
    if (this.#faulty) return;
    const fault = this.#reader.push(chunk);
    if (fault !== undefined) this.#fail(fault.kind, fault.cause);
  }

  #end(): void {
    this.#ended = true;
    // Nobody waits for the answer to a call that was cancelled.
    if (this.#faulty || this.#stream.aborted) return;
    const message = this.#reader.finish();
    if (!Buffer.isBuffer(message)) {
      this.#fail(message.kind, message.cause);
      return;
    }
    this.#asked = true;
    this.#receiver.message(this, message);
  }

  #fail(kind: CallFault['kind'], cause: string): void {
    this.#faulty = true;
    this.#receiver.fault(this, { kind, cause, asked: this.#asked });
  }
}

function ignore(): void {}

/**
 * The share of a call's time after which it is answered whatever happens: before the client's own timer, which makes
 * an error of it. The core is given less.
 */
const ANSWERED_AT = 0.9;
/** For a client that names no deadline, in milliseconds. */
const MAX_CALL_MS = 10_000;

const CONTENT_TYPE = { 'content-type': 'application/grpc' };
/** A list and no date, which gRPC has no use for: of an object Node makes another for each call. Nobody writes to it. */
const HEADERS = [':status', '200', 'content-type', 'application/grpc'];
const WITH_TRAILERS = { waitForTrailers: true, sendDate: false };
const OK_TRAILERS = { 'grpc-status': String(GRPC_STATUS.ok) };

function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}

function faultOf(headers: IncomingHttpHeaders, timeout: number | 'malformed' | undefined): string | undefined {
  if (headers[':method'] !== 'POST') return 'the call is no POST';
  if (headers['content-type']?.startsWith('application/grpc') !== true) return 'the call is not `application/grpc`';
  return timeout === 'malformed' ? '`grpc-timeout` cannot be read' : undefined;
}

const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
/** What Node's timers can hold. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** `grpc-timeout` in milliseconds. Sent twice, it arrives as a list, which is malformed. */
function parseTimeout(value: string | readonly string[] | undefined): number | 'malformed' | undefined {
  if (value === undefined) return undefined;
  // A gateway's calls have the same one each time.
  if (value !== lastTimeout.text) lastTimeout = { text: value, timeout: readTimeout(value) };
  return lastTimeout.timeout;
}

let lastTimeout: { readonly text: string | readonly string[]; readonly timeout: number | 'malformed' } = {
  text: '',
  timeout: 'malformed',
};

function readTimeout(value: string | readonly string[]): number | 'malformed' {
  const [, digits = '', unit = ''] = (typeof value === 'string' && TIMEOUT.exec(value)) || [];
  const unitMs = UNIT_MS[unit];
  return unitMs === undefined ? 'malformed' : Math.min(Number(digits) * unitMs, MAX_TIMEOUT_MS);
}
