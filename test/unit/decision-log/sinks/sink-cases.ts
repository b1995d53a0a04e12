import type { RemoteSink } from '../../../../src/decision-log/sink.ts';
import { SinkFault } from '../../../../src/decision-log/sink.ts';
import type { SinkCredentialsConfig } from '../../../../src/decision-log/sinks/config-types.ts';
import { createRemoteSink } from '../../../../src/decision-log/sinks/remote-sinks.ts';
import { startSystemTimer, systemClock } from '../../../support/system-ports.ts';

export const PARTS = {
  clock: systemClock,
  startTimer: startSystemTimer,
  labels: { region: 'eu-1' },
  instanceId: 'instance-1',
};

/** Lines of events, numbered from 1. */
export function linesOf(count: number, parts: { readonly [name: string]: unknown } = {}): readonly string[] {
  return Array.from({ length: count }, (_, at) => {
    const event = { decision_id: `d${at + 1}`, sequence: at + 1, instance_id: 'instance-1' };
    return `${JSON.stringify({ ...event, timestamp: '2026-11-02T12:00:00.000500000Z', decision: 'allow', ...parts })}\n`;
  });
}

export interface TargetParts {
  readonly credentials?: SinkCredentialsConfig;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly timeout_ms?: number;
  readonly batch?: { readonly max_events: number; readonly max_bytes: number };
  readonly format?: 'native' | 'ecs' | 'ocsf';
}

const PATHS = { http: '/logs', otlp: '/v1/logs', elasticsearch: '/_bulk' } as const;

/** A sink of the kind with all defaults but what the test names. */
export function sinkOf(kind: keyof typeof PATHS, url: string, parts: TargetParts = {}): RemoteSink {
  const settings = {
    ...{ name: kind, url, path: PATHS[kind], format: 'native' as const, timeout_ms: 2_000, insecure_http: false },
    ...{ batch: { max_events: 500, max_bytes: 1_048_576 } },
    ...parts,
  };
  if (kind === 'elasticsearch') {
    return createRemoteSink({ elasticsearch: { ...settings, index: 'decisions-{yyyy}.{MM}.{dd}' } }, PARTS);
  }
  return createRemoteSink(kind === 'http' ? { http: settings } : { otlp: settings }, PARTS);
}

/** The fault of a write that fails. */
export async function faultOf(write: Promise<void>): Promise<SinkFault> {
  try {
    await write;
  } catch (error) {
    if (error instanceof SinkFault) return error;
    throw new Error('it is no SinkFault', { cause: error });
  }
  throw new Error('nothing failed');
}

/** Everything that an error says, its causes included. */
export function tellAll(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return `${error.message} ${error.stack ?? ''} ${JSON.stringify(error)} ${tellAll(error.cause ?? '')}`;
}
