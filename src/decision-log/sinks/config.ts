import type { ElasticsearchSinkConfig, HttpSinkConfig, KafkaSinkConfig, OtlpSinkConfig } from './config-types.ts';
import { indexPatternFault } from './index-name.ts';
import { isLoopback } from './loopback.ts';
import { kafkaSinkSchema } from './schema-kafka.ts';
import { elasticsearchSinkSchema, httpSinkSchema, otlpSinkSchema } from './schema-posted.ts';
import { type Fault, targetFaults } from './target-faults.ts';

/** A sink on another machine, as one entry of `decision_log.sinks`. */
export type RemoteSinkConfig =
  | { readonly http: HttpSinkConfig }
  | { readonly kafka: KafkaSinkConfig }
  | { readonly otlp: OtlpSinkConfig }
  | { readonly elasticsearch: ElasticsearchSinkConfig };

/** Members of an entry of `decision_log.sinks`, by kind of sink. */
export const remoteSinkSchema = {
  http: httpSinkSchema,
  kafka: kafkaSinkSchema,
  otlp: otlpSinkSchema,
  elasticsearch: elasticsearchSinkSchema,
} as const;

/** Unique among the sinks of a service, and the same after a restart. */
export function remoteSinkName(config: RemoteSinkConfig): string {
  return settingsOf(config).settings.name;
}

/** What the schema cannot say of one remote sink; `path` is that of its entry. */
export function checkRemoteSinkConfig(config: RemoteSinkConfig, path: string): readonly Fault[] {
  const { kind, settings } = settingsOf(config);
  const at = `${path}.${kind}`;
  const faults = TAKEN.has(settings.name)
    ? [{ path: `${at}.name`, message: `\`${settings.name}\` is the name of a local sink: take another` }]
    : [];
  if ('kafka' in config) return [...faults, ...kafkaFaults(config.kafka, at)];
  if ('http' in config) return [...faults, ...targetFaults(config.http, at)];
  if ('otlp' in config) return [...faults, ...targetFaults(config.otlp, at)];
  const message = indexPatternFault(config.elasticsearch.index);
  const index = message === undefined ? [] : [{ path: `${at}.index`, message }];
  return [...faults, ...targetFaults(config.elasticsearch, at), ...index];
}

const TAKEN: ReadonlySet<string> = new Set(['stdout', 'file']);

function settingsOf(config: RemoteSinkConfig): { readonly kind: string; readonly settings: { readonly name: string } } {
  if ('http' in config) return { kind: 'http', settings: config.http };
  if ('kafka' in config) return { kind: 'kafka', settings: config.kafka };
  if ('otlp' in config) return { kind: 'otlp', settings: config.otlp };
  return { kind: 'elasticsearch', settings: config.elasticsearch };
}

function kafkaFaults(config: KafkaSinkConfig, path: string): readonly Fault[] {
  const { brokers, tls, sasl, insecure_plaintext: isInsecure } = config;
  const faults: Fault[] = [];
  if (tls === undefined && !isInsecure) {
    brokers.forEach((broker, index) => {
      if (isLoopback(broker.slice(0, broker.lastIndexOf(':')))) return;
      const message = `\`${broker}\` would be reached in the clear: set \`tls\`, or \`insecure_plaintext: true\``;
      faults.push({ path: `${path}.brokers[${index}]`, message });
    });
  }
  if (tls !== undefined && (tls.cert === undefined) !== (tls.key === undefined)) {
    faults.push({ path: `${path}.tls`, message: '`cert` and `key` go together' });
  }
  if (sasl !== undefined && (sasl.password === undefined) === (sasl.password_file === undefined)) {
    faults.push({ path: `${path}.sasl`, message: 'give one of `password` and `password_file`' });
  }
  return faults;
}
