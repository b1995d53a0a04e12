import type { Clock, StartTimer } from '../../decision/ports.ts';
import type { RemoteSink } from '../sink.ts';
import type { RemoteSinkConfig } from './config.ts';
import { createElasticsearchSink } from './elasticsearch-sink.ts';
import { createHttpSink } from './http-sink.ts';
import { createKafkaSink } from './kafka-sink.ts';
import { createOtlpSink } from './otlp-sink.ts';

export interface RemoteSinkParts {
  readonly clock: Clock;
  readonly startTimer: StartTimer;
  /** On every record of targets that describe their source. */
  readonly labels: { readonly [name: string]: string };
  readonly instanceId: string;
}

/** Makes a remote sink; opens nothing. */
export function createRemoteSink(config: RemoteSinkConfig, parts: RemoteSinkParts): RemoteSink {
  if ('http' in config) return createHttpSink(config.http, parts);
  if ('kafka' in config) return createKafkaSink(config.kafka, parts);
  if ('otlp' in config) return createOtlpSink(config.otlp, parts);
  return createElasticsearchSink(config.elasticsearch, parts);
}
