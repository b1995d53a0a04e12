import { Counter, Gauge, type Registry } from 'prom-client';

/** How much waits where. */
export interface DecisionLogState {
  readonly queued: number;
  /** Lines that the disk has not taken yet. */
  readonly spoolWaiting: number;
  readonly spoolBytes: number;
  /** Age of the oldest event that a remote sink is being given; 0 when none is. */
  readonly oldestSeconds: number;
}

/** What the decision log counts beside the totals. No method throws. */
export interface DecisionLogMetrics {
  /** Decisions whose events were lost; an aggregate counts as all denials that it stands for. */
  dropped(decisions: number, cause: string): void;
  /** Denials that summaries stand for. */
  aggregated(denials: number): void;
  /** Events of which the policy left a stub. */
  droppedByPolicy(): void;
  maskFailed(): void;
  /** Answers that waited for room. */
  blocked(): void;
  /** Allows that became Denies. */
  denied(): void;
  delivered(sink: string, events: number): void;
  spoolFailed(): void;
  spoolDamaged(kind: 'torn' | 'corrupt' | 'cursor'): void;
  /** Bytes of quarantined pieces that were given up for want of room. */
  quarantineLost(bytes: number): void;
  /** Asked at each scrape. */
  track(state: () => DecisionLogState): void;
}

export function createDecisionLogMetrics(registry: Registry): DecisionLogMetrics {
  const registers = [registry];
  const counter = (name: string, help: string): Counter =>
    new Counter({ name: `sallyport_decision_log_${name}_total`, help, registers });
  const labelled = <Label extends string>(name: string, label: Label, help: string): Counter<Label> =>
    new Counter({ name: `sallyport_decision_log_${name}_total`, help, labelNames: [label], registers });
  const droppedBy = labelled('dropped_by_cause', 'cause', 'The same as `…_dropped_total`, by where there was no room.');
  const aggregated = counter('aggregated', 'Denials of unverified callers that summaries stand for.');
  const stubs = counter('dropped_by_policy', 'Events of which `data.system.log.drop` left a stub.');
  const maskFailures = counter('mask_failures', 'Events that went without input and result because a mask failed.');
  const blocked = counter('blocked', 'Answers that waited for room in the log.');
  const denied = counter('denied', 'Allows that became denials because the log had no room.');
  const delivered = labelled('delivered', 'sink', 'Events that a remote sink has confirmed.');
  const spoolFailures = counter('spool_failures', 'Writes and reads of the spool that the disk refused.');
  const damaged = labelled('spool_damaged', 'kind', 'Pieces of the spool that could not be read.');
  const quarantineLost = counter('quarantine_lost_bytes', 'Bytes of quarantined pieces that found no room any more.');
  let state = (): DecisionLogState => ({ queued: 0, spoolWaiting: 0, spoolBytes: 0, oldestSeconds: 0 });
  const gauge = (name: string, help: string, read: (now: DecisionLogState) => number): void => {
    new Gauge({
      name: `sallyport_decision_log_${name}`,
      help,
      registers,
      collect() {
        this.set(read(state()));
      },
    });
  };
  gauge('spool_waiting', 'Events that the disk has not taken yet.', ({ spoolWaiting }) => spoolWaiting);
  gauge('spool_bytes', 'Bytes of events and of quarantined pieces on the disk.', ({ spoolBytes }) => spoolBytes);
  gauge('oldest_seconds', 'Age of the oldest event on its way to a remote sink.', ({ oldestSeconds }) => oldestSeconds);

  return {
    dropped: (decisions, cause) => droppedBy.inc({ cause }, decisions),
    aggregated: (denials) => aggregated.inc(denials),
    droppedByPolicy: () => stubs.inc(),
    maskFailed: () => maskFailures.inc(),
    blocked: () => blocked.inc(),
    denied: () => denied.inc(),
    delivered: (sink, events) => delivered.inc({ sink }, events),
    spoolFailed: () => spoolFailures.inc(),
    spoolDamaged: (kind) => damaged.inc({ kind }),
    quarantineLost: (bytes) => quarantineLost.inc(bytes),
    track: (ask) => {
      state = ask;
    },
  };
}
