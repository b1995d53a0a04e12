/** How events are written for their readers: as they are logged, by the Elastic Common Schema, or by OCSF. */
export type EventFormat = 'native' | 'ecs' | 'ocsf';

/** The most of one request. */
export interface BatchConfig {
  readonly max_events: number;
  /** Before compression. */
  readonly max_bytes: number;
}

/** What shows the target who writes; exactly one. Files are read again at each use. */
export interface SinkCredentialsConfig {
  readonly bearer_token?: string;
  readonly bearer_token_file?: string;
  readonly basic?: { readonly username: string; readonly password?: string; readonly password_file?: string };
  readonly api_key?: { readonly header: string; readonly value?: string; readonly value_file?: string };
}

/** PEM files, read again when they change. */
export interface SinkTlsConfig {
  /** In place of the CAs of the machine. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A server that takes events by HTTP. */
export interface TargetConfig {
  readonly url: string;
  /** Appended to the url's own. */
  readonly path: string;
  readonly credentials?: SinkCredentialsConfig;
  readonly tls?: SinkTlsConfig;
  /** Of one request, to the last byte of its answer. */
  readonly timeout_ms: number;
  /** Allows `http:` to other machines. */
  readonly insecure_http: boolean;
}

interface SinkSettings {
  readonly name: string;
  readonly format: EventFormat;
  readonly batch: BatchConfig;
}

/** OPA's decision log API. */
export interface HttpSinkConfig extends SinkSettings, TargetConfig {}

/** OTLP logs over HTTP with JSON. */
export interface OtlpSinkConfig extends SinkSettings, TargetConfig {}

/** `_bulk` of Elasticsearch and OpenSearch. */
export interface ElasticsearchSinkConfig extends SinkSettings, TargetConfig {
  /** With `{yyyy}`, `{MM}` and `{dd}` of the event's own time in UTC. */
  readonly index: string;
}

export interface KafkaSinkConfig extends SinkSettings {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly idempotent: boolean;
  readonly compression: 'none' | 'gzip' | 'zstd';
  readonly timeout_ms: number;
  /** Absent: in the clear. Empty: by the CAs of the machine. */
  readonly tls?: SinkTlsConfig;
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    readonly username: string;
    readonly password?: string;
    readonly password_file?: string;
  };
  /** Allows brokers on other machines without TLS. */
  readonly insecure_plaintext: boolean;
}
