import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ChargeTerms } from '../../../src/decision/charge-terms.ts';
import { deny } from '../../../src/decision/decision.ts';
import type { CoreCode } from '../../../src/decision/errors.ts';
import type { Outcome } from '../../../src/decision/ports.ts';
import { createDecisionLog } from '../../../src/decision-log/decision-log.ts';
import { createWriteEvent, MAX_EVENT_BYTES } from '../../../src/decision-log/event.ts';
import { DEFAULT_INPUT, DEFAULT_RESULT } from '../../../src/decision-log/loggable.ts';
import type { RemoteSink } from '../../../src/decision-log/sink.ts';
import { readSpoolLines } from '../../../src/decision-log/spool/spool-line.ts';
import { accessRequest, inferRoute, inspected, tenantA } from '../../support/core.ts';
import { logConfig } from '../../support/events.ts';
import { allowOutcome, denyOutcome, withConstants } from '../../support/outcome.ts';
import { caseCount, createRandom, type Random, seedOf } from '../../support/seed.ts';
import { startSystemTimer } from '../../support/system-ports.ts';

/** SECURITY.md row 23, for one event at a time: a policy that copies its whole input into every field of its result. */
test('no canary of a hostile request and policy reaches an event, and every event is one line of JSON', () => {
  const random = createRandom(seedOf('hostile policy'));
  const count = caseCount(100_000);
  const allPaths = [...DEFAULT_RESULT, 'metadata', 'upstream', 'obligations', 'whole', 'canary'];
  const makers = [DEFAULT_RESULT, allPaths].map((result) =>
    createWriteEvent({
      config: logConfig({ input: [...DEFAULT_INPUT, 'identity', 'request', 'inference'], result }),
      labels: { region: 'eu-1' },
      instanceId: 'instance-1',
      nextSpanId: () => '00000000000000aa',
    }),
  );
  let leaked = 0;
  let broken = 0;
  for (let index = 0; index < count; index += 1) {
    const { outcome, canaries } = hostileOutcome(random);
    const line = random.pick(makers)(outcome, index).line;
    const lower = line.toLowerCase();
    if (canaries.some((canary) => lower.includes(canary))) leaked += 1;
    if (!isOneEvent(line, index)) broken += 1;
  }
  expect({ leaked, broken }).toEqual({ leaked: 0, broken: 0 });
  console.info(`hostile policy: ${count} events, 0 canaries, each one valid line (seed ${random.seed})`);
}, 300_000);

test('the check above does find a canary where nothing masks it', () => {
  const { outcome, canaries } = hostileOutcome(createRandom(1));
  const text = JSON.stringify(outcome.result).toLowerCase();
  expect(canaries.every((canary) => text.includes(canary))).toBe(true);
});

test('nor does one reach the spool, and every event of it is one line', async () => {
  const random = createRandom(seedOf('hostile spool'));
  const count = caseCount(20_000);
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-hostile-spool-'));
  let dropped = 0;
  let queued = (): number => 0;
  const log = createDecisionLog({
    config: logConfig({
      queue: { max_events: 20_000 },
      spool: { dir, max_mb: 2_048, segment_mb: 64, fsync_ms: 1_000 },
      result: [...DEFAULT_RESULT, 'metadata', 'upstream', 'obligations', 'whole', 'canary'],
    }),
    labels: { region: 'eu-1' },
    instanceId: 'instance-1',
    metrics: {
      decisionLogDropped: (events) => {
        dropped += events;
      },
      decisionLogSinkFailed: () => undefined,
      trackDecisionLogQueue: (ask) => {
        queued = ask;
      },
    },
    logger: { limited: () => undefined },
    randomBytes,
    startTimer: startSystemTimer,
    monotonicMs: () => performance.now(),
    stdout: process.stdout,
    sinks: [deadSink],
  });
  /** By sequence. */
  const canariesOf: (readonly string[])[] = [[]];
  let leaked = 0;
  let lines = 0;
  try {
    await log.start();
    for (let index = 0; index < count; index += 1) {
      const { outcome, canaries } = hostileOutcome(random);
      log.record(outcome);
      canariesOf.push(canaries);
      while (queued() > 5_000) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    while (queued() > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    await log.stop();
    for (const lane of ['kept', 'denied']) {
      for (const name of readdirSync(join(dir, lane))) {
        const found = readSpoolLines(readFileSync(join(dir, lane, name)));
        expect(found.bad).toEqual([]);
        lines += found.lines.length;
        for (const line of found.lines) {
          const lower = line.toLowerCase();
          const { sequence }: { readonly sequence: number } = JSON.parse(line);
          if (canariesOf[sequence]?.some((canary) => lower.includes(canary)) !== false) leaked += 1;
        }
      }
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
  expect({ leaked, events: lines + dropped }).toEqual({ leaked: 0, events: count });
  expect(dropped).toBe(0);
  console.info(`hostile spool: ${lines} events, 0 canaries (seed ${random.seed})`);
}, 300_000);

const deadSink: RemoteSink = {
  name: 'dead',
  remote: true,
  maxBatch: { events: 100, bytes: 100_000 },
  open: async () => {},
  write: () => Promise.reject(new Error('down')),
  reopen: async () => {},
  close: async () => {},
};

function hostileTerms(name: string): ChargeTerms {
  return {
    name,
    dimensions: ['principal'],
    unit: 'requests',
    kind: 'rate',
    limit: 1,
    burst: 1,
    cost: 1,
    periodSeconds: 60,
    mode: 'enforce',
    onFailure: 'deny',
    charge: 'admitted',
    scope: 'tenant',
  };
}

function isOneEvent(line: string, sequence: number): boolean {
  const event: { readonly sequence?: unknown } = JSON.parse(line);
  return (
    event.sequence === sequence && line.indexOf('\n') === line.length - 1 && Buffer.byteLength(line) <= MAX_EVENT_BYTES
  );
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-';

function canaryText(random: Random, length = 28): string {
  return Array.from({ length }, () => ALPHABET[random.below(64)]).join('');
}

const CODES: readonly CoreCode[] = ['policy_denied', 'invalid_verdict', 'policy_error', 'invalid_charges', 'internal'];

interface Hostile {
  readonly outcome: Outcome;
  /** Lower case. */
  readonly canaries: readonly string[];
}

function hostileOutcome(random: Random): Hostile {
  const token = `eyJ${canaryText(random)}.eyJ${canaryText(random)}.${canaryText(random, 43)}`;
  const [key, cookie, password] = [canaryText(random), canaryText(random), canaryText(random)];
  const secrets = [token, key, cookie, password];
  const prompt = `prompt ${canaryText(random)} ${canaryText(random)}`;
  const query = canaryText(random);
  const claim = canaryText(random);
  const body = JSON.stringify({ model: 'llama-3-8b', prompt });
  const basic = Buffer.from(`alice:${password}`).toString('base64');
  const request = accessRequest({
    target: `/tenant-a/llama-3-8b/infer?q=${query}`,
    host: random.chance(0.2) ? random.pick(secrets) : 'gateway.test',
    method: random.chance(0.1) ? random.pick(secrets) : 'POST',
    requestId: random.chance(0.2) ? random.pick(secrets) : 'request-1',
    body: { bytes: Buffer.from(body), complete: true },
    headerList: [
      ['authorization', `Bearer ${token}`],
      ['proxy-authorization', `Basic ${basic}`],
      ['x-api-key', key],
      ['cookie', `theme=dark; session=${cookie}`],
    ],
  });
  const input = { headers: { authorization: token, cookie, key, password, basic }, body, query, claim };
  const everything = JSON.stringify(input);
  const copied = (): string => random.pick([everything, token, key, cookie, password, prompt, query, claim, basic]);
  const place = (): string => disguised(random, random.pick(secrets));
  const limit = { limit: 1, remaining: 0, held: 0, wait_ms: 0, reset_ms: 0, exceeded: true, shadow: false };
  const parts: Partial<Outcome> = {
    request,
    result: {
      allow: random.chance(0.3) ? copied() : random.chance(0.5),
      allowed: random.chance(0.3) ? [copied()] : false,
      status: random.chance(0.3) ? copied() : 403,
      http_status: { [copied()]: copied() },
      reasons: ['tenant mismatch', copied(), everything],
      headers: random.chance(0.5)
        ? { [copied()]: copied(), 'x-tier': copied() }
        : [{ [copied()]: [copied()] }, copied()],
      response_headers: { 'x-tier': [copied()] },
      remove_headers: [copied(), 'x-tier'],
      metadata: { tier: copied(), [copied()]: 'x-tier', deep: { tier: [input, copied(), { tier: everything }] } },
      upstream: copied(),
      obligations: [input, copied()],
      whole: input,
      [copied()]: copied(),
      canary: everything,
      body: everything,
    },
    principal: {
      ...tenantA,
      subject: random.chance(0.2) ? place() : 'alice',
      roles: random.chance(0.2) ? [place(), 'analyst'] : ['analyst'],
      claims: { secret: claim, nested: { claim } },
      credentials: [{ kind: 'jwt', header: 'authorization', presented: `Bearer ${token}` }],
    },
    inspected: inspected({
      path: random.chance(0.5) ? `/tenant-a/${place()}/infer` : '/tenant-a/llama-3-8b/infer',
      route: { ...inferRoute, params: random.chance(0.3) ? { tenant: place(), [place()]: 'x' } : {} },
      inference: { model: random.chance(0.3) ? place() : 'llama-3-8b' },
    }),
    quota: {
      taken: false,
      limits: { [copied()]: { ...limit, kind: copied(), unit: copied(), verified: true } },
    },
    plans: [[{ terms: hostileTerms(copied()), key: [copied()] }]],
    generation: withConstants('tenant mismatch', 'x-tier', 'tier', 'deep', 'reasons', 'whole', 'headers'),
  };
  const outcome = random.chance(0.2)
    ? { ...allowOutcome(), ...parts, observed: deny('policy_denied', { reasons: [copied(), 'tenant mismatch'] }) }
    : denyOutcome(random.pick(CODES), {
        ...parts,
        reasons: [copied()],
        cause: `cannot read "${copied()}"`.slice(0, random.pick([64, 4096])),
      });
  const canaries = [...token.split('.'), ...secrets, ...prompt.split(' '), query, claim, basic].filter(
    (text) => text.length >= 20,
  );
  return { outcome, canaries: canaries.map((text) => text.toLowerCase()) };
}

/** A credential as a caller may write it to get it past a plain comparison. */
function disguised(random: Random, secret: string): string {
  switch (random.below(5)) {
    case 0:
      return secret.toUpperCase();
    case 1:
      return [...Buffer.from(secret)].map((byte) => `%${byte.toString(16)}`).join('');
    case 2:
      return `${'x'.repeat(random.below(600))}${secret}`;
    case 3:
      return `${secret}${secret}`;
    default:
      return secret;
  }
}
