import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DEFAULT_INPUT, DEFAULT_RESULT, inputPathFault, resultPathFault } from './loggable.ts';
import { maskPathFault } from './mask.ts';
import { checkRemoteSinkConfig, type RemoteSinkConfig, remoteSinkName, remoteSinkSchema } from './sinks/config.ts';

/** `decision_log:` of the config: where decision events go and what of a request they hold. */
export interface DecisionLogConfig {
  /** Empty: no decision is logged. */
  readonly sinks: readonly SinkConfig[];
  readonly queue: { readonly max_events: number };
  /** What becomes of a decision whose event finds no room: see {@link WhenFull}. */
  readonly when_full: WhenFull;
  /** With `block`: the longest that an answer waits. */
  readonly block_ms: number;
  readonly aggregate: {
    /** Denials of unverified callers beyond this are logged as one event for each code, route and address prefix. */
    readonly above_per_second: number;
  };
  /** Which events say how the decision came about, rule by rule; none without it. */
  readonly trace?: TraceConfig;
  /** Where events wait for remote sinks; needed by them. */
  readonly spool?: SpoolConfig;
  /** Paths of `input` that are logged; all else is not. */
  readonly input: readonly string[];
  /** Paths of the policy's result that are logged; texts in it only where they are constants of the policy. */
  readonly result: readonly string[];
  readonly masks: readonly MaskConfig[];
}

/**
 * `drop`: the event is lost and counted, and its number is missing. `block`: the answer waits for room, then as `drop`.
 * `deny`: an Allow becomes a Deny.
 */
export type WhenFull = 'drop' | 'block' | 'deny';

export interface TraceConfig {
  /** The part of all decisions, 0 to 1. */
  readonly rate: number;
  readonly per_second: number;
}

export interface SpoolConfig {
  readonly dir: string;
  readonly max_mb: number;
  readonly segment_mb: number;
  readonly fsync_ms: number;
}

export type SinkConfig =
  | { readonly stdout: Readonly<Record<never, never>> }
  | { readonly file: FileSinkConfig }
  | RemoteSinkConfig;

export interface FileSinkConfig {
  readonly path: string;
  readonly rotate?: {
    readonly max_mb: number;
    readonly hours?: number;
    /** Files that are kept beside the one in use. */
    readonly keep: number;
  };
}

/** Erases one member of every event, or replaces it by a constant. */
export interface MaskConfig {
  /** RFC 6901, as in `/input/identity/subject`. */
  readonly path: string;
  readonly op: 'erase' | 'replace';
  /** What stands there instead; for `replace` only. */
  readonly value?: string | number | boolean | null;
}

const paths = { type: 'array', maxItems: 128, items: { type: 'string', minLength: 1, maxLength: 256 } } as const;

export const decisionLogConfigSchema = {
  type: 'object',
  description: 'Decision events: one JSON line for each decision.',
  additionalProperties: false,
  default: {},
  properties: {
    sinks: {
      description: 'Where events go; an empty list logs nothing.',
      type: 'array',
      maxItems: 8,
      default: [{ stdout: {} }],
      items: {
        type: 'object',
        minProperties: 1,
        maxProperties: 1,
        additionalProperties: false,
        properties: {
          stdout: { type: 'object', additionalProperties: false, properties: {} },
          file: {
            type: 'object',
            additionalProperties: false,
            required: ['path'],
            properties: {
              path: { description: 'Appended to; made with mode 0600.', type: 'string', minLength: 1 },
              rotate: {
                description: 'Without it the file grows until somebody rotates it.',
                type: 'object',
                additionalProperties: false,
                properties: {
                  max_mb: { type: 'integer', minimum: 1, maximum: 1_048_576, default: 100 },
                  hours: { type: 'number', minimum: 0.01, maximum: 8_784 },
                  keep: { type: 'integer', minimum: 0, maximum: 10_000, default: 10 },
                },
              },
            },
          },
          ...remoteSinkSchema,
        },
      },
    },
    queue: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        max_events: {
          description: 'Events that wait for a sink; what comes beyond is dropped, counted, and a gap in `sequence`.',
          type: 'integer',
          minimum: 1,
          maximum: 1_000_000,
          default: 10_000,
        },
      },
    },
    when_full: {
      description: '`drop` loses and counts, `block` lets the answer wait, `deny` makes an Allow a Deny.',
      enum: ['drop', 'block', 'deny'],
      default: 'drop',
    },
    block_ms: {
      description: 'With `when_full: block`: the longest that an answer waits.',
      type: 'integer',
      minimum: 1,
      maximum: 5_000,
      default: 100,
    },
    aggregate: {
      description: 'Denials of callers who proved nothing are summed up when there are too many.',
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: { above_per_second: { type: 'integer', minimum: 0, maximum: 1_000_000, default: 500 } },
    },
    trace: {
      description:
        'Some decisions are evaluated once more after their reply, watched, and their events say which rules were entered.',
      type: 'object',
      additionalProperties: false,
      required: ['rate'],
      properties: {
        rate: { description: 'The part of all decisions.', type: 'number', minimum: 0, maximum: 1 },
        per_second: {
          description: 'Never more: each costs milliseconds, the first of a bundle more.',
          type: 'integer',
          minimum: 1,
          maximum: 10,
          default: 1,
        },
      },
    },
    spool: {
      description: 'Where events wait on the disk for remote sinks; one folder for one instance.',
      type: 'object',
      additionalProperties: false,
      required: ['dir'],
      properties: {
        dir: { description: 'Made with mode 0700.', type: 'string', minLength: 1 },
        max_mb: {
          description: 'Half of it is for denials, half for all else.',
          type: 'integer',
          minimum: 8,
          maximum: 1_048_576,
          default: 1024,
        },
        segment_mb: { type: 'integer', minimum: 1, maximum: 1024, default: 8 },
        fsync_ms: {
          description:
            'How much a power cut may cost; 0: every write. A crash of the process costs nothing either way.',
          type: 'integer',
          minimum: 0,
          maximum: 60_000,
          default: 1_000,
        },
      },
    },
    input: { description: 'Paths of `input` that are logged.', ...paths, default: DEFAULT_INPUT },
    result: { description: 'Paths of the policy’s result that are logged.', ...paths, default: DEFAULT_RESULT },
    masks: {
      description: 'Narrows what is logged further.',
      type: 'array',
      maxItems: 128,
      default: [],
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['path'],
        properties: {
          path: { description: 'A JSON pointer below `/input` or `/result`.', type: 'string', maxLength: 256 },
          op: { enum: ['erase', 'replace'], default: 'erase' },
          value: { type: ['string', 'number', 'boolean', 'null'] },
        },
      },
    },
  },
} as const;

/** What the schema cannot say: unknown paths, sinks named twice, a file sink without its folder. */
export function checkDecisionLogConfig(
  config: DecisionLogConfig,
): readonly { readonly path: string; readonly message: string }[] {
  return [
    ...sinkFaults(config),
    ...spoolFaults(config),
    ...config.input.flatMap((path, index) => fault(`decision_log.input[${index}]`, inputPathFault(path))),
    ...config.result.flatMap((path, index) => fault(`decision_log.result[${index}]`, resultPathFault(path))),
    ...config.masks.flatMap((mask, index) => fault(`decision_log.masks[${index}]`, maskFault(mask))),
  ];
}

interface Fault {
  readonly path: string;
  readonly message: string;
}

function fault(path: string, message: string | undefined): Fault[] {
  return message === undefined ? [] : [{ path, message }];
}

function sinkFaults({ sinks, spool }: DecisionLogConfig): Fault[] {
  const seen = new Set<string>();
  return sinks.flatMap((sink, index) => {
    const name = 'stdout' in sink ? 'stdout' : 'file' in sink ? sink.file.path : remoteSinkName(sink);
    const path = `decision_log.sinks[${index}]`;
    if (seen.has(name)) return fault(path, `the sink \`${name}\` is named twice: remove one`);
    seen.add(name);
    if ('stdout' in sink) return [];
    if ('file' in sink) return fault(`${path}.file.path`, fileFault(sink.file.path));
    const homeless =
      spool === undefined ? 'a remote sink needs `decision_log.spool.dir`, where its events wait' : undefined;
    return [...fault(path, homeless), ...checkRemoteSinkConfig(sink, path)];
  });
}

function spoolFaults({ spool }: DecisionLogConfig): Fault[] {
  if (spool === undefined || spool.segment_mb * 4 <= spool.max_mb) return [];
  return fault(
    'decision_log.spool.segment_mb',
    'a segment is more than a quarter of `max_mb`: room comes back by whole segments, make them smaller',
  );
}

function fileFault(path: string): string | undefined {
  const folder = statSync(dirname(path), { throwIfNoEntry: false });
  if (folder?.isDirectory() !== true) return `the folder of \`${path}\` is missing: create it`;
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    return `\`${path}\` is a folder: name a file`;
  }
  return undefined;
}

function maskFault(mask: MaskConfig): string | undefined {
  if (mask.op === 'replace' && mask.value === undefined) return '`replace` needs a `value`';
  if (mask.op === 'erase' && mask.value !== undefined) return '`value` goes with `op: replace` only';
  return maskPathFault(mask.path);
}
