import type { RecordedDecision } from '../../../src/replay/recorded-event.ts';
import { parseLogLine } from '../../../src/replay/recorded-event.ts';

type Members = Readonly<Record<string, unknown>>;

/** The members of an event of an allowed request; `input` replaces whole sections of the usual one. */
export function eventMembers(parts: Members = {}, input: Members = {}): Members {
  return {
    decision_id: 'decision-1',
    sequence: 1,
    instance_id: 'instance-1',
    timestamp: '2026-11-02T12:00:00.250000000Z',
    labels: {},
    bundles: { authz: { revision: 'r1' } },
    door: 'ext_authz_grpc',
    decision: 'allow',
    reasons: [],
    input: {
      request: {
        method: 'POST',
        path: '/tenant-a/llama-3-8b/infer',
        host: 'gateway.test',
        size: { known: true, bytes: 2 },
      },
      route: { name: 'infer', tenant: 'tenant-a', model: 'llama-3-8b', operation: 'infer' },
      identity: { kind: 'jwt', subject: 'alice', tenant: 'tenant-a', tier: 'premium', roles: ['analyst'] },
      network: { client_ip: '192.0.2.1' },
      ...input,
    },
    erased: [],
    masked: [],
    metrics: {},
    ...parts,
  };
}

export function lineOf(parts: Members = {}, input: Members = {}): string {
  return JSON.stringify(eventMembers(parts, input));
}

export function recorded(parts: Members = {}, input: Members = {}): RecordedDecision {
  const read = parseLogLine(lineOf(parts, input));
  if (read.kind !== 'decision') throw new Error('the event of the test is none');
  return read.event;
}
