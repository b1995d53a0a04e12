import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { formatAddress } from '../../../../src/listener/address.ts';
import type { RateLimitConfig } from '../../../../src/protocols/ratelimit/config.ts';
import type { Limit, RateLimitAnswer, RateLimitRequest } from '../../../../src/protocols/ratelimit/rate-limit.ts';
import { createRateLimitDoor } from '../../../../src/protocols/ratelimit/server.ts';
import {
  type CertificateFiles,
  type CertificateMaker,
  createCertificateMaker,
  makeDoorCertificates,
} from '../../../support/certificates.ts';
import { mutateWireOften } from '../../../support/mutate-wire.ts';
import {
  createRateLimitClient,
  type RateLimitClient,
  type RateLimitClientOptions,
} from '../../../support/rate-limit-client.ts';
import {
  decodeRateLimitResponse,
  descriptorOf,
  encodeRateLimitRequest,
  type WrittenRateLimitRequest,
} from '../../../support/rate-limit-proto.ts';
import { caseCount, createRandom, seedOf } from '../../../support/seed.ts';

const PLAIN = encodeRateLimitRequest({ domain: 'd', descriptors: [descriptorOf('k', 'v')] });
const NEGATIVE = encodeRateLimitRequest({
  domain: 'd',
  descriptors: [{ ...descriptorOf('k', 'v'), isNegativeHits: true }],
});
const OWN_LIMIT = encodeRateLimitRequest({
  domain: 'd',
  descriptors: [{ ...descriptorOf('k', 'v'), limit: { requestsPerUnit: 1_000_000, unit: 1 } }],
});

const open: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Running {
  readonly target: string;
  readonly client: RateLimitClient;
  readonly requests: RateLimitRequest[];
  readonly counted: string[];
}

interface DoorOptions {
  readonly config?: Partial<RateLimitConfig>;
  readonly limit?: Limit;
  readonly client?: RateLimitClientOptions;
}

async function startDoor({ config, limit = passes, client: clientOptions }: DoorOptions = {}): Promise<Running> {
  const requests: RateLimitRequest[] = [];
  const counted: string[] = [];
  const door = createRateLimitDoor({
    limit: (request) => {
      requests.push(request);
      return limit(request);
    },
    config: {
      listen: '127.0.0.1:0',
      trusted_loopback: true,
      max_in_flight: 100,
      max_message_bytes: 65_536,
      domains_from_bundle: true,
      on_error: 'over_limit',
      headers: 'none',
      ...config,
    },
    startTimer: (delayMs, late) => {
      const timer = setTimeout(late, delayMs);
      return () => clearTimeout(timer);
    },
    logger: { info: () => undefined, warn: () => undefined, limited: () => undefined },
    count: (outcome) => counted.push(outcome),
    graceMs: 500,
  });
  const { address } = await door.start();
  open.push(() => door.stop());
  const target = formatAddress(address);
  const client = createRateLimitClient(target, clientOptions);
  open.push(() => client.close());
  return { target, client, requests, counted };
}

function passes({ descriptors }: RateLimitRequest): RateLimitAnswer {
  const limit = { name: '', requestsPerUnit: 10, unit: 'second' } as const;
  const statuses = descriptors.map(() => ({ overLimit: false, limit, remaining: 9, resetMs: 1000 }));
  return { kind: 'decided', overLimit: false, statuses };
}

const UNDECIDED: RateLimitAnswer = { kind: 'undecided', cause: 'the store is gone' };
const never = (): Promise<RateLimitAnswer> => new Promise(() => undefined);

describe('the rate limit door', () => {
  it('answers what was decided', async () => {
    const { client, requests, counted } = await startDoor();
    expect(await client.ask(PLAIN)).toEqual({
      overallCode: 'OK',
      statuses: [
        {
          code: 'OK',
          currentLimit: { requestsPerUnit: 10, unit: 'SECOND' },
          limitRemaining: 9,
          durationUntilReset: { seconds: 1 },
        },
      ],
    });
    expect(requests).toMatchObject([{ domain: 'd', descriptors: [{ hits: 1 }] }]);
    expect(counted).toEqual(['ok']);
  });

  it('asks with one and the same request for the same bytes', async () => {
    const { client, requests } = await startDoor({ limit: (request) => Promise.resolve(passes(request)) });
    await client.ask(PLAIN);
    await client.ask(PLAIN);
    expect(requests).toHaveLength(2);
    expect(requests[0]).toBe(requests[1]);
  });

  it.each([
    ['over_limit', 'OVER_LIMIT'],
    ['ok', 'OK'],
  ] as const)('answers what was not decided as `on_error: %s` says', async (onError, code) => {
    const config = { on_error: onError };
    for (const limit of [() => UNDECIDED, () => Promise.resolve(UNDECIDED), failing, failingLater] satisfies Limit[]) {
      const { client } = await startDoor({ config, limit });
      expect(await client.ask(PLAIN)).toEqual({ overallCode: code });
    }
    const { client } = await startDoor({ config: { ...config, max_in_flight: 1 }, limit: never });
    void client.ask(PLAIN).catch(() => undefined);
    await pause(50);
    expect(await client.ask(PLAIN)).toEqual({ overallCode: code });
  });

  it('answers before the deadline of the caller', async () => {
    const { client, counted } = await startDoor({ limit: never });
    const startMs = performance.now();
    expect(await client.ask(PLAIN, { deadline: Date.now() + 1000 })).toEqual({ overallCode: 'OVER_LIMIT' });
    expect(performance.now() - startMs).toBeGreaterThan(700);
    expect(counted).toEqual(['undecided']);
  });

  it.each([
    ['no bytes', Buffer.alloc(0)],
    ['garbage', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x00, 0x01])],
    ['no descriptors', encodeRateLimitRequest({ domain: 'd' })],
    ['no domain', encodeRateLimitRequest({ descriptors: [descriptorOf('k', 'v')] })],
    ['more than the door reads', Buffer.concat([PLAIN, Buffer.alloc(70_000)])],
    ['negative hits', NEGATIVE],
    ['a limit of its own', OWN_LIMIT],
  ])('never lets pass %s, even with `on_error: ok`', async (_what, bytes) => {
    const { client, requests, counted } = await startDoor({ config: { on_error: 'ok' } });
    expect(await client.ask(bytes)).toEqual({ overallCode: 'OVER_LIMIT' });
    expect(requests).toEqual([]);
    expect(counted).toEqual(['refused']);
  });

  it('serves nothing else', async () => {
    const { target } = await startDoor();
    const response = await fetch(`http://${target}/`).catch((error: unknown) => error);
    expect(response).toBeInstanceOf(Error);
  });
});

describe('mutants of RateLimitRequests', () => {
  const corpus: readonly Buffer[] = (
    [
      { domain: 'edge', descriptors: [descriptorOf('k', 'v', 'tenant', 'tenant-a')], hitsAddend: 3 },
      { domain: 'edge', descriptors: [{ ...descriptorOf('a', 'ü'), hitsAddend: { value: 7 } }, descriptorOf('b', '')] },
      { domain: 'e', descriptors: [{ ...descriptorOf('a', 'b'), limit: { requestsPerUnit: 300, unit: 2 } }] },
      { domain: 'e', descriptors: [{ ...descriptorOf('a', 'b'), isNegativeHits: true }] },
    ] satisfies WrittenRateLimitRequest[]
  ).map(encodeRateLimitRequest);

  it('are asked about or refused: no OK that was not decided, and no answer without a code', async () => {
    const random = createRandom(seedOf('ratelimit-mutants'));
    const count = caseCount(6_000);
    const { client, requests } = await startDoor({ config: { on_error: 'ok' } });
    let refused = 0;
    for (let done = 0; done < count; done += 20) {
      const mutants = Array.from({ length: 20 }, () => mutateWireOften(random.pick(corpus), random).bytes);
      requests.length = 0;
      const answers = await Promise.all(mutants.map((bytes) => client.askRaw(bytes)));
      const codes = answers.map((answer) => decodeRateLimitResponse(answer).overallCode);
      expect(answers.every((answer) => answer.length > 0)).toBe(true);
      expect(codes.filter((code) => code === 'OK')).toHaveLength(requests.length);
      expect(codes.filter((code) => code === 'OVER_LIMIT')).toHaveLength(20 - requests.length);
      expect(requests.some(({ privileged }) => privileged)).toBe(false);
      refused += 20 - requests.length;
    }
    console.info(`mutants: ${count}, refused ${refused}`);
    expect(refused).toBeGreaterThan(count / 4);
    expect(refused).toBeLessThan(count);
  });
});

describe('callers of the rate limit door', () => {
  let maker: CertificateMaker;
  let ca: CertificateFiles;
  let server: CertificateFiles;
  let gateway: CertificateFiles;
  let stranger: CertificateFiles;
  beforeAll(() => {
    maker = createCertificateMaker();
    ({ ca, server, gateway, stranger } = makeDoorCertificates(maker));
  });
  afterAll(() => maker.remove());

  const guarded = (client: CertificateFiles, over: Partial<RateLimitConfig> = {}): Promise<Running> =>
    startDoor({
      config: {
        trusted_loopback: false,
        on_error: 'ok',
        tls: { ...server, client_ca: ca.cert },
        allowed_callers: ['spiffe://td/gateway'],
        ...over,
      },
      client: { tls: { ca, client } },
    });

  it('that are not listed may not ask', async () => {
    const { client, requests } = await guarded(stranger);
    expect(await client.ask(PLAIN)).toEqual({ overallCode: 'OVER_LIMIT' });
    expect(requests).toEqual([]);
  });

  it('give hits back and bring limits only where they are listed for it', async () => {
    const { client, requests } = await guarded(gateway);
    expect((await client.ask(PLAIN)).overallCode).toBe('OK');
    expect((await client.ask(NEGATIVE)).overallCode).toBe('OVER_LIMIT');
    expect((await client.ask(OWN_LIMIT)).overallCode).toBe('OVER_LIMIT');
    expect(requests).toHaveLength(1);

    const trusted = await guarded(gateway, { may_override: ['spiffe://td/gateway'] });
    expect((await trusted.client.ask(NEGATIVE)).overallCode).toBe('OK');
    expect((await trusted.client.ask(OWN_LIMIT)).overallCode).toBe('OK');
    expect(trusted.requests).toMatchObject([
      { descriptors: [{ negative: true }] },
      { descriptors: [{ override: { requestsPerUnit: 1_000_000, unit: 'second' } }] },
    ]);
  });

  it('on a trusted loopback are no callers that may override', async () => {
    const { client } = await startDoor({ config: { may_override: ['spiffe://td/gateway'] } });
    expect((await client.ask(NEGATIVE)).overallCode).toBe('OVER_LIMIT');
  });
});

function failing(): never {
  throw new Error('gone');
}

function failingLater(): Promise<RateLimitAnswer> {
  return Promise.reject(new Error('gone'));
}
