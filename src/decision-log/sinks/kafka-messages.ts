/** What the thread of the client is started with. */
export interface ProducerSettings {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly idempotent: boolean;
  readonly compression: 'none' | 'gzip' | 'zstd';
  readonly timeoutMs: number;
  readonly tls?: { readonly ca?: Uint8Array; readonly cert?: Uint8Array; readonly key?: Uint8Array };
  readonly sasl?: { readonly mechanism: string; readonly username: string; readonly password: string };
}

export interface KafkaRecord {
  readonly key: string;
  readonly value: string;
}

/** To the thread. */
export interface SendOrder {
  readonly id: number;
  readonly records: readonly KafkaRecord[];
}

/** Why something failed: Kafka's name for it or the client's, and a sentence without any of our settings. */
export interface ClientFault {
  readonly code: string;
  readonly message: string;
}

/** From the thread; `id` 0 tells whether it could start. */
export interface SendReport {
  readonly id: number;
  readonly fault?: ClientFault;
}
