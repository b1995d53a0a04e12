import { StoreFault, type StoreTake } from '../bucket-store.ts';
import { chargeBytes, spanOfCharge, writeCharge } from './redis-codec.ts';
import type { RedisKeys } from './redis-keys.ts';
import { TAKE_SCRIPT } from './redis-script.ts';

/** Puts several takes into one EVALSHA, in the form that `TAKE_SCRIPT` reads. */
export interface RedisBatch {
  readonly takes: number;
  /** Whether another take should go into another batch. */
  readonly full: boolean;
  add(take: StoreTake, holds: boolean, nowMs: number): void;
  /** The command, with the marker as the scripts compare it. */
  finish(marker: Buffer): Buffer;
}

export interface RedisBatchOptions {
  readonly keys: RedisKeys;
  readonly horizonMs: number;
}

/** A take has at most eight plans of sixteen charges; Lua passes on some thousands of keys at once. */
const MAX_KEYS = 1024;
const MAX_TAKES = 128;
const MAX_NOTE_BYTES = 4096;
/** Of one take; callers have a say in how many and how long its keys are. */
const MAX_KEPT_BYTES = 1024;

/** A take that is asked again and again, as it was written, and when that is right. */
interface Kept {
  readonly names: Uint8Array;
  readonly nameCount: number;
  readonly value: Uint8Array;
  readonly fromMs: number;
  readonly untilMs: number;
}

export function createRedisBatch({ keys, horizonMs }: RedisBatchOptions): RedisBatch {
  let names = Buffer.allocUnsafe(2048);
  let namesEnd = 0;
  let nameCount = 0;
  let values = Buffer.allocUnsafe(4096);
  let valuesEnd = 0;
  let takes = 0;
  const kept = new WeakMap<StoreTake['plans'], Kept>();

  function name(text: string): void {
    const most = text.length + 16;
    if (namesEnd + most > names.length) names = grown(names, namesEnd, most);
    namesEnd += names.write(`$${text.length}\r\n${text}\r\n`, namesEnd, 'latin1');
    nameCount += 1;
  }

  function add(take: StoreTake, holds: boolean, nowMs: number): void {
    if (holds || take.repeated !== true) {
      write(take, holds, nowMs);
      return;
    }
    const before = kept.get(take.plans);
    if (before === undefined) {
      // Whether it is asked again is not known yet.
      kept.set(take.plans, ASKED_ONCE);
      write(take, holds, nowMs);
      return;
    }
    if (nowMs >= before.fromMs && nowMs < before.untilMs) {
      append(before);
      return;
    }
    const [namesStart, valuesStart, countBefore] = [namesEnd, valuesEnd, nameCount];
    write(take, holds, nowMs);
    if (namesEnd - namesStart + valuesEnd - valuesStart > MAX_KEPT_BYTES) return;
    const spans = take.plans.flatMap((plan) => plan.map((charge) => spanOfCharge(charge, nowMs)));
    kept.set(take.plans, {
      // Copies with memory of their own: a part of what Node shares would keep the whole of it.
      names: new Uint8Array(names.subarray(namesStart, namesEnd)),
      nameCount: nameCount - countBefore,
      value: new Uint8Array(values.subarray(valuesStart, valuesEnd)),
      fromMs: Math.max(...spans.map(({ startMs }) => startMs)),
      untilMs: Math.min(...spans.map(({ endMs }) => endMs)),
    });
  }

  function append(take: Kept): void {
    if (namesEnd + take.names.length > names.length) names = grown(names, namesEnd, take.names.length);
    if (valuesEnd + take.value.length > values.length) values = grown(values, valuesEnd, take.value.length);
    names.set(take.names, namesEnd);
    values.set(take.value, valuesEnd);
    namesEnd += take.names.length;
    valuesEnd += take.value.length;
    nameCount += take.nameCount;
    takes += 1;
  }

  function write({ id, plans, note, recordMs }: StoreTake, holds: boolean, nowMs: number): void {
    const noteBytes = holds ? Buffer.byteLength(note) : 0;
    if (noteBytes > MAX_NOTE_BYTES) throw new RangeError('the note of a reservation is too long');
    let bytes = 4 + (holds ? 10 + noteBytes : 0) + plans.length;
    let count = holds ? 1 : 0;
    for (const plan of plans) {
      count += plan.length;
      for (const { terms } of plan) bytes += chargeBytes(terms);
    }
    if (valuesEnd + bytes + 16 > values.length) values = grown(values, valuesEnd, bytes + 16);
    if (holds) {
      const record = keys.record(id);
      if (record === undefined) throw new StoreFault('refused', 'what is no reservation id cannot hold anything');
      name(record);
    }
    let at = valuesEnd + values.write(`$${bytes}\r\n`, valuesEnd, 'latin1');
    values.writeUInt16LE(count, at);
    values[at + 2] = plans.length;
    values[at + 3] = recordMs !== undefined ? 2 : holds ? 1 : 0;
    at += 4;
    if (holds) {
      values.writeDoubleLE(horizonMs + (recordMs ?? 0), at);
      values.writeUInt16LE(noteBytes, at + 8);
      at += 10 + values.write(note, at + 10, noteBytes, 'utf8');
    }
    for (const plan of plans) {
      values[at] = plan.length;
      at += 1;
      for (const charge of plan) {
        at = writeCharge(values, at, charge, nowMs);
        name(keys.bucket(charge.terms));
      }
    }
    values[at] = 13;
    values[at + 1] = 10;
    valuesEnd = at + 2;
    takes += 1;
  }

  return {
    get takes() {
      return takes;
    },
    get full() {
      return takes >= MAX_TAKES || nameCount >= MAX_KEYS;
    },
    add,
    finish: (marker) => {
      const parts = 5 + nameCount + takes;
      const digits = String(nameCount + 1);
      const head = `*${parts}\r\n${CALL}$${digits.length}\r\n${digits}\r\n$${keys.marker.length}\r\n${keys.marker}\r\n`;
      const middle = `$${marker.length}\r\n`;
      const command = Buffer.allocUnsafe(head.length + namesEnd + middle.length + marker.length + 2 + valuesEnd);
      let at = command.write(head, 0, 'latin1');
      at += names.copy(command, at, 0, namesEnd);
      at += command.write(middle, at, 'latin1');
      at += marker.copy(command, at);
      at += command.write('\r\n', at, 'latin1');
      values.copy(command, at, 0, valuesEnd);
      namesEnd = 0;
      nameCount = 0;
      valuesEnd = 0;
      takes = 0;
      return command;
    },
  };
}

const NOTHING = new Uint8Array();
const ASKED_ONCE: Kept = { names: NOTHING, nameCount: 0, value: NOTHING, fromMs: Infinity, untilMs: Infinity };

const CALL = `$7\r\nEVALSHA\r\n$40\r\n${TAKE_SCRIPT.sha}\r\n`;

function grown(buffer: Buffer, used: number, more: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, used + more));
  buffer.copy(larger, 0, 0, used);
  return larger;
}
