import { Buffer } from 'node:buffer';
import type { AccessRequest } from '../decision/access-request.ts';
import { isObject } from '../decision/json.ts';
import type { Inference } from '../decision/ports.ts';
import { readPublished, readStruct } from './gateway-message.ts';
import { isModelName } from './inference.ts';
import { isRefusal, malformed, type Refusal } from './refusal.ts';

/** Where Envoy's AI filter `request_info` publishes what it read of a body. */
export const NAMESPACE = 'envoy.ai.request_info';

/**
 * What the gateway says that it read of the body (`envoy.data.ai.v3.RequestInfo`, typed or as a Struct). Absent when it
 * says nothing; refused when it cannot be understood or says two things.
 */
export function gatewayReading(request: AccessRequest): Inference | undefined | Refusal {
  const metadata = member(request.attributes(), 'metadataContext');
  if (metadata === undefined) return undefined;
  const typed = member(member(metadata, 'typedFilterMetadata'), NAMESPACE);
  const plain = member(member(metadata, 'filterMetadata'), NAMESPACE);
  if (typed === undefined) return plain === undefined ? undefined : fromFields(plain);
  const fields = readPacked(typed);
  const inference = fields === undefined ? unreadable() : fromFields(fields);
  if (plain === undefined || isRefusal(inference)) return inference;
  const other = fromFields(plain);
  if (isRefusal(other)) return other;
  return contradiction(inference, other) ?? inference;
}

/**
 * Refuses two readings of one body of which the gateway's says what ours does not. Its filter leaves out what it
 * cannot use, so what only we read is no contradiction, but for the model, which it always reads.
 */
export function contradiction(ours: Inference, gateways: Inference): Refusal | undefined {
  if (ours.model !== gateways.model) return malformed('the gateway read another `model` in the body');
  for (const field of COMPARED) {
    if (gateways[field] !== undefined && gateways[field] !== ours[field]) {
      return malformed(`the gateway read another \`${field}\` in the body`);
    }
  }
  return undefined;
}

const COMPARED = ['stream', 'max_tokens'] as const;

const READERS = new Map([
  ['type.googleapis.com/envoy.data.ai.v3.RequestInfo', readPublished],
  ['type.googleapis.com/google.protobuf.Struct', readStruct],
]);

/** The fields of an Any as opa-envoy-plugin writes it: `{typeUrl, value}`, the value in base64 and absent if empty. */
function readPacked(packed: unknown): unknown {
  const typeUrl = member(packed, 'typeUrl');
  const value = member(packed, 'value') ?? '';
  if (typeof typeUrl !== 'string' || typeof value !== 'string') return undefined;
  return READERS.get(typeUrl)?.(Buffer.from(value, 'base64'));
}

function fromFields(fields: unknown): Inference | Refusal {
  if (!isObject(fields)) return unreadable();
  const model = member(fields, 'model');
  const stream = member(fields, 'stream');
  const maxTokens = member(fields, 'max_output_tokens');
  const messages = member(fields, 'message_count');
  const estimate = member(fields, 'estimated_input_tokens');
  if (model !== undefined && (typeof model !== 'string' || !isModelName(model))) return unreadable();
  if (stream !== undefined && typeof stream !== 'boolean') return unreadable();
  if (!isCount(maxTokens) || !isCount(messages) || !isCount(estimate)) return unreadable();
  return {
    ...(model === undefined ? {} : { model }),
    ...(stream === undefined ? {} : { stream }),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(messages === undefined ? {} : { message_count: messages }),
    ...(estimate === undefined ? {} : { estimated_prompt_tokens: estimate }),
  };
}

function isCount(value: unknown): value is number | undefined {
  return value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0);
}

function member(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

function unreadable(): Refusal {
  return malformed(`the gateway's \`${NAMESPACE}\` cannot be read`);
}
