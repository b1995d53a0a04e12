import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DEFAULT_INPUT, DEFAULT_RESULT, inputPathFault, resultPathFault } from './loggable.ts';
import { maskPathFault } from './mask.ts';

/** `decision_log:` of the config: where decision events go and what of a request they hold. */
export interface DecisionLogConfig {
  /** Empty: no decision is logged. */
  readonly sinks: readonly SinkConfig[];
  readonly queue: { readonly max_events: number };
  /** Paths of `input` that are logged; all else is not. */
  readonly input: readonly string[];
  /** Paths of the policy's result that are logged; texts in it only where they are constants of the policy. */
  readonly result: readonly string[];
  readonly masks: readonly MaskConfig[];
}

export type SinkConfig =
  | { readonly stdout: Readonly<Record<never, never>> }
  | { readonly file: { readonly path: string } };

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
            },
          },
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
    ...sinkFaults(config.sinks),
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

function sinkFaults(sinks: readonly SinkConfig[]): Fault[] {
  const seen = new Set<string>();
  return sinks.flatMap((sink, index) => {
    const name = 'file' in sink ? sink.file.path : 'stdout';
    const path = `decision_log.sinks[${index}]`;
    if (seen.has(name)) return fault(path, `the sink \`${name}\` is named twice: remove one`);
    seen.add(name);
    return 'file' in sink ? fault(`${path}.file.path`, fileFault(sink.file.path)) : [];
  });
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
