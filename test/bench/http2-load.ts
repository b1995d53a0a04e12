import { connect, type Socket } from 'node:net';
import { type LoadResult, toLoadResult } from './latency.ts';

export interface Http2Load {
  readonly port: number;
  /** Request headers in order, pseudo headers first; the same for every call. */
  readonly headers: readonly (readonly [string, string])[];
  /** Bodies in turn: the request with number n sends `bodies[n % bodies.length]`. */
  readonly bodies: readonly Buffer[];
  readonly count: number;
  readonly concurrency: number;
  /** Whether the body of an answer is the wanted one; the first that is not ends the run. */
  readonly accept: (body: Buffer, requestNumber: number) => boolean;
}

const TYPE = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8 } as const;
const END_STREAM = 1;
const ACK = 1;
const HEAD_BYTES = 9;
const MAX_WINDOW = 2 ** 31 - 1;
const DEFAULT_WINDOW = 65_535;

/**
 * Calls over one HTTP/2 connection (RFC 9113), as a gateway makes them, from frames that are encoded beforehand: the
 * client costs a few microseconds a call, so that on two cores it is the server that is measured.
 */
export function runHttp2Load(load: Http2Load): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const socket = connect(load.port, '127.0.0.1');
    socket.setNoDelay(true);
    const run = createRun(load, socket, (result) => {
      socket.destroy();
      if (result instanceof Error) reject(result);
      else resolve(result);
    });
    socket.on('connect', run.start);
    socket.on('data', run.read);
    socket.on('error', run.fail);
    socket.on('close', () => run.fail(new Error('the server closed the connection')));
  });
}

interface Run {
  readonly start: () => void;
  readonly read: (chunk: Buffer) => void;
  readonly fail: (error: Error) => void;
}

function createRun(load: Http2Load, socket: Socket, settle: (result: LoadResult | Error) => void): Run {
  const { count, concurrency, bodies } = load;
  const blocks = encodeHeaders(load.headers);
  const startedMs = new Float64Array(count);
  const latenciesMs = new Float64Array(count);
  const answers = new Map<number, Buffer[]>();
  let rest: Buffer = Buffer.alloc(0);
  let sent = 0;
  let answered = 0;
  let beganMs = 0;
  let window = DEFAULT_WINDOW;
  let received = 0;

  const fail = (error: Error): void => {
    if (answered < count) settle(error);
  };

  const sendMore = (): void => {
    const frames: Buffer[] = [];
    while (sent < count && sent - answered < concurrency) {
      const body = bodies[sent % bodies.length] ?? Buffer.alloc(0);
      if (body.byteLength > window) break;
      window -= body.byteLength;
      const streamId = 1 + 2 * sent;
      const block = sent === 0 ? blocks.first : blocks.later;
      frames.push(frame(TYPE.headers, 4, streamId, block), frame(TYPE.data, END_STREAM, streamId, body));
      startedMs[sent] = performance.now();
      sent += 1;
    }
    if (frames.length > 0) socket.write(Buffer.concat(frames));
  };

  const finish = (streamId: number): void => {
    const number = (streamId - 1) / 2;
    const nowMs = performance.now();
    latenciesMs[number] = nowMs - (startedMs[number] ?? nowMs);
    const body = Buffer.concat(answers.get(streamId) ?? []);
    answers.delete(streamId);
    if (!load.accept(body, number)) {
      settle(new Error(`answer ${number} is not the wanted one: ${body.toString('latin1')}`));
      return;
    }
    answered += 1;
    if (answered === count) settle(toLoadResult(latenciesMs, nowMs - beganMs));
  };

  const readFrame = (type: number, flags: number, streamId: number, payload: Buffer): void => {
    switch (type) {
      case TYPE.data: {
        received += payload.byteLength;
        const chunks = answers.get(streamId);
        if (chunks === undefined) answers.set(streamId, [payload]);
        else chunks.push(payload);
        break;
      }
      case TYPE.settings:
        if ((flags & ACK) === 0) socket.write(frame(TYPE.settings, ACK, 0, Buffer.alloc(0)));
        return;
      case TYPE.ping:
        if ((flags & ACK) === 0) socket.write(frame(TYPE.ping, ACK, 0, payload));
        return;
      case TYPE.windowUpdate:
        if (streamId === 0) window += payload.readUInt32BE(0) & MAX_WINDOW;
        return;
      case TYPE.reset:
        fail(new Error(`the server reset stream ${streamId}, error ${payload.readUInt32BE(0)}`));
        return;
      case TYPE.goaway:
        fail(new Error(`the server said GOAWAY, error ${payload.readUInt32BE(4)}`));
        return;
      default:
        break;
    }
    if ((flags & END_STREAM) !== 0 && (type === TYPE.data || type === TYPE.headers)) finish(streamId);
  };

  return {
    start: () => {
      const settings = Buffer.alloc(6);
      // SETTINGS_INITIAL_WINDOW_SIZE
      settings.writeUInt16BE(4, 0);
      settings.writeUInt32BE(MAX_WINDOW, 2);
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      socket.write(Buffer.concat([frame(TYPE.settings, 0, 0, settings), windowUpdate(MAX_WINDOW - DEFAULT_WINDOW)]));
      beganMs = performance.now();
      sendMore();
    },
    read: (chunk) => {
      rest = rest.byteLength === 0 ? chunk : Buffer.concat([rest, chunk]);
      let at = 0;
      while (rest.byteLength - at >= HEAD_BYTES) {
        const end = at + HEAD_BYTES + rest.readUIntBE(at, 3);
        if (rest.byteLength < end) break;
        const [type = 0, flags = 0] = rest.subarray(at + 3, at + 5);
        readFrame(type, flags, rest.readUInt32BE(at + 5) & MAX_WINDOW, rest.subarray(at + HEAD_BYTES, end));
        at = end;
      }
      rest = rest.subarray(at);
      if (received > 2 ** 24) {
        socket.write(windowUpdate(received));
        received = 0;
      }
      sendMore();
    },
    fail,
  };
}

function windowUpdate(by: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(by, 0);
  return frame(TYPE.windowUpdate, 0, 0, payload);
}

function frame(type: number, flags: number, streamId: number, payload: Buffer): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUIntBE(payload.byteLength, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/**
 * HPACK (RFC 7541): the first request enters every header into the peer's dynamic table, later ones refer to it, as any
 * long-lived client's do. No Huffman coding; names and values below 127 bytes.
 */
function encodeHeaders(headers: readonly (readonly [string, string])[]): { first: Buffer; later: Buffer } {
  const first = headers.map(([name, value]) =>
    Buffer.concat([
      Buffer.from([0x40, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ]),
  );
  // The static table has 61 entries; the newest dynamic entry is 62.
  const later = headers.map((_, at) => 0x80 | (62 + headers.length - 1 - at));
  return { first: Buffer.concat(first), later: Buffer.from(later) };
}
