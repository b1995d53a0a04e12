import { connect, type Socket } from 'node:net';
import type { AccessRequest, UnreadableRequest } from '../../../../src/decision/access-request.ts';
import { type Decision, deny, parseVerdict } from '../../../../src/decision/decision.ts';
import type { CoreCode } from '../../../../src/decision/errors.ts';
import type { Outcome, StartTimer } from '../../../../src/decision/ports.ts';
import type { ExtAuthzHttpConfig } from '../../../../src/protocols/ext-authz-http/config.ts';
import {
  createExtAuthzHttpDoor,
  type ExtAuthzHttpDoor,
  type ExtAuthzHttpPorts,
} from '../../../../src/protocols/ext-authz-http/server.ts';

export const DECISION_ID = '0192a000-0000-7000-8000-000000000001';

export const CONFIG: ExtAuthzHttpConfig = {
  listen: '127.0.0.1:0',
  trusted_loopback: false,
  max_in_flight: 100,
  path_prefix: '/ext-authz/',
  upstream_headers: [],
  deadline_ms: 5000,
  max_body_bytes: 1000,
};

/** What a verdict of the shape `sallyport` becomes; the only way to an Allow. */
export function verdict(value: unknown, stripHeaders: readonly string[] = []): Decision {
  const owned = { decisionId: DECISION_ID, tenant: 'tenant-a', roles: ['reader', 'writer'] };
  return parseVerdict(value, { shape: 'sallyport', allowRedirects: true, anonymous: false, owned, stripHeaders });
}

export function outcomeOf(request: AccessRequest | UnreadableRequest, decision: Decision): Outcome {
  const at = { epochMs: 0, monotonicMs: 0 };
  return { decisionId: DECISION_ID, decision, at, request, overBudget: false, phaseMs: {} };
}

/** A core that denies what the door could not read and answers the rest as it is told. */
export interface Core {
  readonly authorize: ExtAuthzHttpPorts['authorize'];
  /** Everything it was asked, in order. */
  readonly asked: (AccessRequest | UnreadableRequest)[];
  codes(): readonly CoreCode[];
  last(): AccessRequest;
}

export function createCore(decide: (request: AccessRequest) => Decision | Promise<Decision>): Core {
  const asked: (AccessRequest | UnreadableRequest)[] = [];
  return {
    asked,
    authorize: async (request) => {
      asked.push(request);
      const decision = 'unreadable' in request ? deny(request.unreadable.code) : await decide(request);
      return outcomeOf(request, decision);
    },
    codes: () => asked.flatMap((request) => ('unreadable' in request ? [request.unreadable.code] : [])),
    last: () => {
      const request = asked.at(-1);
      if (request === undefined || 'unreadable' in request) throw new Error('the core was asked nothing readable');
      return request;
    },
  };
}

export const startTimer: StartTimer = (delayMs, late) => {
  const timer = setTimeout(late, delayMs);
  return () => clearTimeout(timer);
};

const clock = { now: () => ({ epochMs: Date.now(), monotonicMs: performance.now() }) };

export interface RunningDoor {
  readonly door: ExtAuthzHttpDoor;
  readonly port: number;
}

export async function startDoor(
  core: Pick<Core, 'authorize'>,
  config: Partial<ExtAuthzHttpConfig> = {},
  ports: Partial<ExtAuthzHttpPorts> = {},
): Promise<RunningDoor> {
  const all = {
    config: { ...CONFIG, ...config },
    authorize: core.authorize,
    clock,
    startTimer,
    graceMs: 300,
    ...ports,
  };
  const door = createExtAuthzHttpDoor(all);
  const { address } = await door.start();
  return { door, port: address.kind === 'tcp' ? address.port : 0 };
}

export interface RawAnswer {
  readonly status: number;
  /** Names lower case, values latin1. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Buffer;
}

/** All final answers that arrive until `count` are there or the connection ends. */
export function exchange(port: number, bytes: string | Buffer, count = 1): Promise<readonly RawAnswer[]> {
  return exchangeOn(connect({ host: '127.0.0.1', port }), bytes, count);
}

export function exchangeOn(socket: Socket, bytes: string | Buffer, count = 1): Promise<readonly RawAnswer[]> {
  return new Promise((resolve) => {
    let received: Buffer = Buffer.alloc(0);
    const isHead = bytes.toString('latin1').startsWith('HEAD ');
    const finish = (): void => {
      socket.destroy();
      resolve(readAnswers(received, isHead).answers);
    };
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (readAnswers(received, isHead).answers.length >= count) finish();
    });
    socket.on('error', finish);
    socket.on('close', finish);
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  });
}

/** Complete final answers at the start of the bytes; interim ones (1xx) are left out. */
export function readAnswers(bytes: Buffer, isHead = false): { readonly answers: readonly RawAnswer[] } {
  const answers: RawAnswer[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf('\r\n\r\n', at);
    if (end < 0) return { answers };
    const [statusLine = '', ...lines] = bytes.toString('latin1', at, end).split('\r\n');
    const status = Number(/^HTTP\/1\.1 ([0-9]{3}) /.exec(statusLine)?.[1] ?? Number.NaN);
    const headers = lines.map((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)] as const;
    });
    at = end + 4;
    if (status >= 100 && status < 200) continue;
    const length = isHead ? 0 : Number(headers.find(([name]) => name === 'content-length')?.[1] ?? Number.NaN);
    if (!(at + length <= bytes.length)) return { answers };
    answers.push({ status, headers, body: bytes.subarray(at, at + length) });
    at += length;
  }
}

export function header(answer: RawAnswer | undefined, name: string): string | undefined {
  const values = answer?.headers.filter(([other]) => other === name).map(([, value]) => value) ?? [];
  return values.length === 0 ? undefined : values.join(' | ');
}
