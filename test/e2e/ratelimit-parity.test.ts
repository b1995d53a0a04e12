import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { formatAddress } from '../../src/listener/address.ts';
import { createRateLimitDoor, type RateLimitDoor } from '../../src/protocols/ratelimit/server.ts';
import { createDescriptorLimits } from '../../src/quota/descriptors/descriptors-limits.ts';
import { loadRateLimitFiles } from '../../src/quota/descriptors/ratelimit-files.ts';
import { startSystemTimer, systemClock } from '../../src/telemetry/system-clock.ts';
import { createCertificateMaker, makeDoorCertificates } from '../support/certificates.ts';
import { describeWith } from '../support/describe-with.ts';
import { freePorts } from '../support/ports.ts';
import { eventually, type Program, startProgram } from '../support/programs.ts';
import { createRateLimitClient, type RateLimitClient } from '../support/rate-limit-client.ts';
import {
  descriptorOf,
  encodeRateLimitRequest,
  type ReadRateLimitResponse,
  type WrittenDescriptor,
  type WrittenRateLimitRequest,
} from '../support/rate-limit-proto.ts';
import { requireTool } from '../support/tools.ts';
import { createWindowQuota } from '../support/window-quota.ts';

// One limits file, two services: a real envoyproxy/ratelimit over a real Valkey, and our door. What they answer to the
// same requests, one after the other, is compared. Windows are long, so that none ends while the test runs.

const LIMITS = `
domain: edge
descriptors:
  - key: plain
    rate_limit: {unit: year, requests_per_unit: 2}
  - key: plain
    value: special
    rate_limit: {unit: MONTH, requests_per_unit: 4, name: special}
  - key: wild
    value: api/*
    rate_limit: {unit: week, requests_per_unit: 3}
  - key: wild
    value: api/v2/*
    rate_limit: {unit: week, requests_per_unit: 30}
  - key: wild
    value: shared*
    share_threshold: true
    rate_limit: {unit: week, requests_per_unit: 3}
  - key: wild
    rate_limit: {unit: year, requests_per_unit: 5}
  - key: any
    value: "*"
    rate_limit: {unit: year, requests_per_unit: 1}
  - key: outer
    rate_limit: {unit: year, requests_per_unit: 3}
    descriptors:
      - key: inner
        value: a
        rate_limit: {unit: year, requests_per_unit: 1}
      - key: inner
        descriptors:
          - key: deep
            rate_limit: {unit: month, requests_per_unit: 2}
      - key: quiet
  - key: white
  - key: white_listed
    value: yes
  - key: open
    rate_limit: {unlimited: true}
  - key: closed
    rate_limit: {unit: year, requests_per_unit: 0}
  - key: shadow
    shadow_mode: true
    rate_limit: {unit: year, requests_per_unit: 1}
  - key: named
    rate_limit: {unit: year, requests_per_unit: 2, name: replaced}
  - key: replacing
    rate_limit: {unit: year, requests_per_unit: 5, replaces: [{name: replaced}, {name: nobody}]}
  - key: number
    value: 10
    rate_limit: {unit: year, requests_per_unit: 1}
  - key: metrics
    detailed_metric: true
    value_to_metric: true
    rate_limit: {unit: year, requests_per_unit: 1}
`;

const d = descriptorOf;
const hits = (descriptor: WrittenDescriptor, value: number): WrittenDescriptor => ({
  ...descriptor,
  hitsAddend: { value },
});
const own = (descriptor: WrittenDescriptor, requestsPerUnit: number, unit: number): WrittenDescriptor => ({
  ...descriptor,
  limit: { requestsPerUnit, unit },
});

/** Each is asked so often; values are of no other case, unless one is meant to build on another. */
const CASES: readonly (readonly [string, number, Partial<WrittenRateLimitRequest>])[] = [
  ['a key alone', 4, { descriptors: [d('plain', 'a')] }],
  ['another value of it', 2, { descriptors: [d('plain', 'b')] }],
  ['its empty value', 3, { descriptors: [d('plain', '')] }],
  ['a literal value', 6, { descriptors: [d('plain', 'special')] }],
  ['a literal value in another case', 3, { descriptors: [d('plain', 'Special')] }],
  ['a key in another case', 1, { descriptors: [d('Plain', 'a')] }],
  ['a value that is no ASCII', 3, { descriptors: [d('plain', 'ä€😀')] }],
  ['a value with separators', 3, { descriptors: [d('plain', 'a_b.c|d:e')] }],
  ['a value that ends in a star', 3, { descriptors: [d('plain', 'x*')] }],
  ['more entries than the rule', 1, { descriptors: [d('plain', 'a', 'more', 'b')] }],
  ['an unknown key', 1, { descriptors: [d('unknown', 'a')] }],
  ['an unknown domain', 1, { domain: 'other', descriptors: [d('plain', 'a')] }],
  ['a prefix', 5, { descriptors: [d('wild', 'api/a')] }],
  ['another value of the prefix', 2, { descriptors: [d('wild', 'api/b')] }],
  ['the first of two prefixes', 2, { descriptors: [d('wild', 'api/v2/x')] }],
  ['the text of a prefix', 2, { descriptors: [d('wild', 'api/*')] }],
  ['the text of the second prefix', 2, { descriptors: [d('wild', 'api/v2/*')] }],
  ['nothing beyond the prefix', 2, { descriptors: [d('wild', 'api/')] }],
  ['less than the prefix', 2, { descriptors: [d('wild', 'api')] }],
  ['a shared prefix', 2, { descriptors: [d('wild', 'shared-a')] }],
  ['another value of the shared prefix', 3, { descriptors: [d('wild', 'shared-b')] }],
  ['every value', 2, { descriptors: [d('any', 'a')] }],
  ['every other value', 2, { descriptors: [d('any', '')] }],
  ['an outer rule', 4, { descriptors: [d('outer', 'a')] }],
  ['an inner rule', 2, { descriptors: [d('outer', 'a', 'inner', 'a')] }],
  ['an inner rule below another value', 2, { descriptors: [d('outer', 'b', 'inner', 'a')] }],
  ['an inner step without a rule', 1, { descriptors: [d('outer', 'a', 'inner', 'b')] }],
  ['a rule three levels deep', 3, { descriptors: [d('outer', 'a', 'inner', 'b', 'deep', 'c')] }],
  ['a literal step that ends before', 1, { descriptors: [d('outer', 'a', 'inner', 'a', 'deep', 'c')] }],
  ['a step that says nothing', 1, { descriptors: [d('outer', 'a', 'quiet', 'b')] }],
  ['the steps in another order', 1, { descriptors: [d('inner', 'a', 'outer', 'a')] }],
  ['an allowed key', 1, { descriptors: [d('white', 'a')] }],
  ['a flag as a text', 1, { descriptors: [d('white_listed', 'yes')] }],
  ['an unlimited key', 2, { descriptors: [d('open', 'a')] }],
  ['a limit of zero', 2, { descriptors: [d('closed', 'a')] }],
  ['a look at a limit of zero', 1, { descriptors: [hits(d('closed', 'a'), 0)] }],
  ['a shadow', 3, { descriptors: [d('shadow', 'a')] }],
  ['a shadow beside a limit', 4, { descriptors: [d('shadow', 'b'), d('plain', 'c')] }],
  ['a number as a text', 2, { descriptors: [d('number', '10')] }],
  ['a rule with metrics', 2, { descriptors: [d('metrics', 'a')] }],
  ['two descriptors', 3, { descriptors: [d('plain', 'd'), d('wild', 'd')] }],
  ['two descriptors, the second over', 4, { descriptors: [d('wild', 'e'), d('any', 'e')] }],
  ['what the one over counted of the other', 2, { descriptors: [d('wild', 'e')] }],
  ['a limit beside none', 3, { descriptors: [d('unknown', 'x'), d('plain', 'f'), d('white', 'x')] }],
  ['a limit beside an unlimited one', 3, { descriptors: [d('open', 'x'), d('plain', 'g')] }],
  ['a limit beside a closed one', 1, { descriptors: [d('wild', 'h'), d('closed', 'x')] }],
  ['what the closed one left', 1, { descriptors: [d('wild', 'h')] }],
  ['several values of one rule', 3, { descriptors: [d('plain', 'i'), d('plain', 'j'), d('plain', 'k')] }],
  ['several values, one of them over', 1, { descriptors: [d('plain', 'l'), d('plain', 'i')] }],
  ['what they left', 2, { descriptors: [d('plain', 'l')] }],
  ['a replaced limit', 3, { descriptors: [d('named', 'a'), d('replacing', 'a')] }],
  ['a limit that was replaced', 3, { descriptors: [d('named', 'a')] }],
  ['several hits', 4, { descriptors: [d('wild', 'm')], hitsAddend: 2 }],
  ['more hits than the limit', 1, { descriptors: [d('wild', 'n')], hitsAddend: 9 }],
  ['what more hits left', 1, { descriptors: [d('wild', 'n')] }],
  ['a look', 2, { descriptors: [hits(d('wild', 'o'), 0)] }],
  ['hits of a descriptor', 3, { descriptors: [hits(d('wild', 'p'), 2)], hitsAddend: 5 }],
  ['a look at what is used up', 1, { descriptors: [hits(d('wild', 'p'), 0)] }],
  ['hits of each descriptor', 3, { descriptors: [hits(d('wild', 'q'), 2), hits(d('outer', 'q'), 1)] }],
  ['a limit of its own', 3, { descriptors: [own(d('plain', 'r'), 1, 6)] }],
  ['a limit of its own where there is no rule', 3, { descriptors: [own(d('unknown', 'r'), 2, 5)] }],
  ['a limit of its own in no domain', 1, { domain: 'other', descriptors: [own(d('plain', 'r'), 1, 6)] }],
  ['a limit of its own of zero', 1, { descriptors: [own(d('unknown', 's'), 0, 6)] }],
];

describeWith(['ratelimit', 'valkey'], 'our door beside a real envoyproxy/ratelimit', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-parity-'));
  const programs: Program[] = [];
  const maker = createCertificateMaker();
  let door: RateLimitDoor;
  let ours: RateLimitClient;
  let theirs: RateLimitClient;

  beforeAll(async () => {
    mkdirSync(join(folder, 'sub/config'), { recursive: true });
    const file = join(folder, 'sub/config/limits.yaml');
    writeFileSync(file, LIMITS);
    const [redis = 0, grpcPort = 0, httpPort = 0, debugPort = 0] = await freePorts(4);
    programs.push(
      startProgram(requireTool('valkey'), [
        '--port',
        String(redis),
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--dir',
        folder,
      ]),
    );
    await programs[0]?.waitForLine((line) => line.includes('Ready to accept connections'));
    programs.push(
      startProgram(requireTool('ratelimit'), [], {
        env: {
          REDIS_SOCKET_TYPE: 'tcp',
          REDIS_URL: `127.0.0.1:${redis}`,
          USE_STATSD: 'false',
          RUNTIME_ROOT: folder,
          RUNTIME_SUBDIRECTORY: 'sub',
          RUNTIME_WATCH_ROOT: 'false',
          HOST: '127.0.0.1',
          PORT: String(httpPort),
          GRPC_HOST: '127.0.0.1',
          GRPC_PORT: String(grpcPort),
          DEBUG_HOST: '127.0.0.1',
          DEBUG_PORT: String(debugPort),
          LOG_LEVEL: 'error',
        },
      }),
    );
    theirs = createRateLimitClient(`127.0.0.1:${grpcPort}`);
    const probe = encodeRateLimitRequest({ domain: 'none', descriptors: [d('k', 'v')] });
    await eventually(async () => theirs.ask(probe, { deadline: Date.now() + 1_000 }).catch(() => undefined), 30_000);

    const { ca, server, gateway } = makeDoorCertificates(maker);
    const { table, faults } = loadRateLimitFiles([file]);
    expect(faults).toEqual([]);
    const quota = createWindowQuota();
    const limit = createDescriptorLimits({
      table: () => table,
      quota,
      adjust: (adjustments, at) => quota.adjust(adjustments, at),
      clock: systemClock,
      onFault: (error) => expect.fail(String(error)),
    });
    door = createRateLimitDoor({
      limit,
      config: {
        listen: '127.0.0.1:0',
        trusted_loopback: false,
        // Theirs honours the limits of everybody.
        tls: { ...server, client_ca: ca.cert },
        allowed_callers: ['spiffe://td/gateway'],
        may_override: ['spiffe://td/gateway'],
        max_in_flight: 100,
        max_message_bytes: 65_536,
        domains_from_bundle: false,
        on_error: 'over_limit',
        headers: 'none',
      },
      startTimer: startSystemTimer,
      logger: { info: () => undefined, warn: () => undefined, limited: () => undefined },
      count: () => undefined,
      graceMs: 500,
    });
    const { address } = await door.start();
    ours = createRateLimitClient(formatAddress(address), { tls: { ca, client: gateway } });
  });
  afterAll(async () => {
    ours.close();
    theirs.close();
    await door.stop();
    for (const program of programs.reverse()) await program.stop();
    maker.remove();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(CASES)('answers the same to %s', async (_what, times, request) => {
    const bytes = encodeRateLimitRequest({ domain: 'edge', ...request });
    for (let time = 1; time <= times; time++) {
      const expected = await theirs.ask(bytes);
      const answer = await ours.ask(bytes);
      expect(compared(answer), `time ${time}`).toEqual(compared(expected));
    }
  });
});

/** All but the time until the reset, which a second may lie between. */
function compared({ overallCode, statuses }: ReadRateLimitResponse): unknown {
  return {
    overallCode,
    statuses: statuses?.map(({ code, currentLimit, limitRemaining }) => ({ code, currentLimit, limitRemaining })),
  };
}
