/** An error that the server answered; the first word is its code. */
export class RespError {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  get code(): string {
    return /^[A-Z]{1,24}/.exec(this.text)?.[0] ?? 'an error';
  }
}

/** What RESP 2 can say: a bulk string is a view of what was read, a simple one is text. */
export type RespReply = Buffer | string | number | null | RespError | readonly RespReply[];

/** Reads RESP 2 (https://redis.io/docs/reference/protocol-spec): hands over each whole reply. Throws for anything else. */
export interface RespReader {
  read(chunk: Buffer): void;
}

const BULK = 36;
const SIMPLE = 43;
const ERROR = 45;
const INTEGER = 58;
const LIST = 42;
const CR = 13;
const LF = 10;
const MAX_BULK = 64 * 1024 * 1024;
const MAX_DEPTH = 8;

export function createRespReader(onReply: (reply: RespReply) => void): RespReader {
  let rest: readonly Buffer[] = [];
  let restBytes = 0;
  /** How many bytes there must be before another try makes sense. */
  let wanted = 0;
  let data: Buffer = Buffer.alloc(0);
  let at = 0;

  /** The end of the line that begins at `from`, or -1. */
  function lineEnd(from: number): number {
    const end = data.indexOf(CR, from);
    if (end === -1 || end + 1 >= data.length) {
      if (data.length - from > 64 * 1024) throw new Error('a line without an end');
      return -1;
    }
    if (data[end + 1] !== LF) throw new Error('a line that ends in the middle');
    return end;
  }

  function integer(from: number, end: number): number {
    const negative = data[from] === 45;
    let value = 0;
    const first = negative ? from + 1 : from;
    if (first >= end || end - first > 15) throw new Error('a number that is none');
    for (let digit = first; digit < end; digit += 1) {
      const code = (data[digit] ?? 0) - 48;
      if (code < 0 || code > 9) throw new Error('a number that is none');
      value = value * 10 + code;
    }
    return negative ? -value : value;
  }

  /** `undefined`: not all of it is there. */
  function next(depth: number): RespReply | undefined {
    if (at >= data.length) return undefined;
    const type = data[at] ?? 0;
    const end = lineEnd(at + 1);
    if (end === -1) return undefined;
    const from = at + 1;
    switch (type) {
      case BULK: {
        const size = integer(from, end);
        if (size === -1) {
          at = end + 2;
          return null;
        }
        if (size < 0 || size > MAX_BULK) throw new Error('a size that cannot be');
        const start = end + 2;
        if (start + size + 2 > data.length) {
          wanted = start + size + 2;
          return undefined;
        }
        if (data[start + size] !== CR || data[start + size + 1] !== LF) throw new Error('a text that does not end');
        at = start + size + 2;
        return data.subarray(start, start + size);
      }
      case SIMPLE:
        at = end + 2;
        return data.toString('latin1', from, end);
      case ERROR:
        at = end + 2;
        return new RespError(data.toString('latin1', from, end));
      case INTEGER:
        at = end + 2;
        return integer(from, end);
      case LIST: {
        const count = integer(from, end);
        at = end + 2;
        if (count === -1) return null;
        if (count < 0 || count > 1_000_000 || depth >= MAX_DEPTH) throw new Error('a list that cannot be');
        const list: RespReply[] = [];
        for (let index = 0; index < count; index += 1) {
          const item = next(depth + 1);
          if (item === undefined) return undefined;
          list.push(item);
        }
        return list;
      }
      default:
        throw new Error('something that is not RESP');
    }
  }

  return {
    read: (chunk) => {
      restBytes += chunk.length;
      if (rest.length > 0) rest = [...rest, chunk];
      if (restBytes < wanted) {
        if (rest.length === 0) rest = [chunk];
        return;
      }
      data = rest.length === 0 ? chunk : Buffer.concat(rest);
      at = 0;
      let done = 0;
      wanted = 0;
      for (;;) {
        const reply = next(0);
        if (reply === undefined) break;
        done = at;
        wanted = 0;
        onReply(reply);
      }
      restBytes = data.length - done;
      rest = restBytes === 0 ? [] : [data.subarray(done)];
      if (wanted > 0) wanted -= done;
    },
  };
}
