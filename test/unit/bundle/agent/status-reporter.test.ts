import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createStatusReporter } from '../../../../src/bundle/agent/status-reporter.ts';
import type { BundleStatus } from '../../../../src/bundle/agent/watched-bundle.ts';
import { createManualClock } from '../../../support/manual-clock.ts';
import { until } from './fleet-of-one.ts';

let stop = async (): Promise<void> => {};
afterEach(() => stop());

const STATUS: BundleStatus = {
  revision: 'r1',
  sha256: 'a'.repeat(64),
  version: 1,
  activatedAtEpochMs: 0,
  requestedAtEpochMs: 1000,
  downloadedAtEpochMs: 1000,
  ageMs: 5_400,
  lastError: { code: 'bundle_unreachable', message: 'no answer', atEpochMs: 2000 },
  candidate: { sha256: 'b'.repeat(64), revision: 'r2', version: 2, staged: true },
};

async function scene() {
  const bodies: { readonly authorization: string | undefined; readonly document: unknown }[] = [];
  let status = 200;
  const server: Server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      bodies.push({ authorization: request.headers.authorization, document: JSON.parse(text) });
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const clock = createManualClock();
  const warned: string[] = [];
  const delays: number[] = [];
  const reporter = createStatusReporter({
    // A listening TCP server has an address of this kind.
    config: {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/status`,
      credentials: { bearer_token: 't' },
      interval_seconds: 20,
    },
    status: () => new Map([['authz', STATUS]]),
    candidateOf: () => ({ state: 'canary', step_percent: 10, trips: 0 }),
    labels: { region: 'eu' },
    instanceId: 'i-1',
    version: '1.0',
    clock,
    startTimer: (delayMs, late) => {
      // The other timer is the deadline of a report under way.
      if (delayMs !== 10_000) delays.push(delayMs);
      return clock.startTimer(delayMs, late);
    },
    random: () => 0,
    logger: { limited: (_key, _level, fields) => void warned.push(String(fields['error'])) },
  });
  stop = async () => {
    await reporter.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  /** Lets the time of the next report come, and waits until the one after it is planned. */
  const told = async (): Promise<void> => {
    const planned = delays.length;
    clock.advance(delays.at(-1) ?? 0);
    await until(() => delays.length > planned);
  };
  const answer = (code: number): void => {
    status = code;
  };
  return { reporter, bodies, told, warned, delays, answer };
}

describe('the status of an instance', () => {
  it('is told in OPA’s form with a member of our own', async () => {
    const { reporter, bodies, told } = await scene();
    reporter.start();
    await told();
    expect(bodies).toEqual([
      {
        authorization: 'Bearer t',
        document: {
          labels: { region: 'eu', id: 'i-1', version: '1.0' },
          bundles: {
            authz: {
              name: 'authz',
              active_revision: 'r1',
              last_successful_activation: '1970-01-01T00:00:00.000Z',
              last_successful_download: '1970-01-01T00:00:01.000Z',
              last_request: '1970-01-01T00:00:01.000Z',
              code: 'bundle_unreachable',
              message: 'no answer',
            },
          },
          sallyport: {
            instance_id: 'i-1',
            bundles: {
              authz: {
                sha256: 'a'.repeat(64),
                version: 1,
                activated_at: '1970-01-01T00:00:00.000Z',
                age_seconds: 5,
                stale: false,
                candidate: {
                  sha256: 'b'.repeat(64),
                  revision: 'r2',
                  version: 2,
                  state: 'canary',
                  step_percent: 10,
                  trips: 0,
                },
              },
            },
          },
        },
      },
    ]);
  });

  it('is told within a second of a change, once for many, and else at its interval', async () => {
    const { reporter, bodies, told, delays } = await scene();
    reporter.start();
    await told();
    for (let at = 0; at < 100; at += 1) reporter.changed();
    await told();
    expect(delays).toEqual([0, 15_000, 1_000, 15_000]);
    expect(bodies).toHaveLength(2);
  });

  it('that is not taken is told again later, and later', async () => {
    const { reporter, told, warned, delays, answer } = await scene();
    answer(503);
    reporter.start();
    await told();
    reporter.changed();
    await told();
    await told();
    answer(200);
    await told();
    expect(delays).toEqual([0, 1_000, 2_000, 4_000, 15_000]);
    expect(warned).toEqual(Array(3).fill('the status server answered 503'));
  });
});
