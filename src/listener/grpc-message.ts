import { gunzipSync, inflateSync } from 'node:zlib';

/** Why a call has no message that can be read. */
export interface MessageFault {
  readonly kind: 'malformed' | 'too_long';
  /** For logs: names the fault, never the content. */
  readonly cause: string;
}

/** Puts the one message of a call together. */
export interface MessageReader {
  /** Takes the next bytes; answers a fault as soon as there is one, and is then used up. */
  push(chunk: Buffer): MessageFault | undefined;
  /** The message, once all bytes are there. */
  finish(): Buffer | MessageFault;
}

/** `encoding` is the call's `grpc-encoding`; a message in an unknown one, or longer than the limit, is a fault. */
export function createMessageReader(encoding: string | readonly string[] | undefined, maxBytes: number): MessageReader {
  return new OneMessage(encoding, maxBytes);
}

/** A class, so that a call costs no closures. */
class OneMessage implements MessageReader {
  readonly #encoding: string | readonly string[] | undefined;
  readonly #maxBytes: number;
  #received: Buffer = NOTHING;
  /** What came after `received`, not yet joined to it. */
  #later: Buffer[] | undefined;
  #length = 0;

  constructor(encoding: string | readonly string[] | undefined, maxBytes: number) {
    this.#encoding = encoding;
    this.#maxBytes = maxBytes;
  }

  push(chunk: Buffer): MessageFault | undefined {
    this.#length += chunk.length;
    if (this.#received.length === 0) this.#received = chunk;
    else if (this.#received.length < PREFIX_BYTES) this.#received = Buffer.concat([this.#received, chunk]);
    else if (this.#later === undefined) this.#later = [chunk];
    else this.#later.push(chunk);
    if (this.#received.length < PREFIX_BYTES) return undefined;
    const length = this.#received.readUInt32BE(1);
    if (length > this.#maxBytes) return TOO_LONG;
    return this.#length > PREFIX_BYTES + length ? SEVERAL : undefined;
  }

  finish(): Buffer | MessageFault {
    if (this.#length === 0) return NONE;
    const all = this.#later === undefined ? this.#received : Buffer.concat([this.#received, ...this.#later]);
    if (all.length < PREFIX_BYTES || all.length < PREFIX_BYTES + all.readUInt32BE(1)) return CUT_SHORT;
    const message = all.subarray(PREFIX_BYTES);
    if (all[0] === 0) return message;
    return all[0] === 1 ? this.#decompress(message) : UNKNOWN_FLAG;
  }

  #decompress(message: Buffer): Buffer | MessageFault {
    const decompress = DECOMPRESS.get(String(this.#encoding));
    if (decompress === undefined) return UNKNOWN_ENCODING;
    try {
      return decompress(message, { maxOutputLength: this.#maxBytes });
    } catch (error) {
      return isTooLarge(error) ? TOO_LONG : UNREADABLE;
    }
  }
}

const NOTHING = Buffer.alloc(0);
/** A flag for compression and the length. */
const PREFIX_BYTES = 5;
const DECOMPRESS = new Map([
  ['gzip', gunzipSync],
  ['deflate', inflateSync],
]);

const TOO_LONG: MessageFault = { kind: 'too_long', cause: 'the message is longer than `max_message_bytes`' };
const SEVERAL: MessageFault = { kind: 'malformed', cause: 'the call has more than one message' };
const NONE: MessageFault = { kind: 'malformed', cause: 'the call has no message' };
const CUT_SHORT: MessageFault = { kind: 'malformed', cause: 'the message is cut short' };
const UNKNOWN_FLAG: MessageFault = { kind: 'malformed', cause: 'the message has an unknown compression flag' };
const UNKNOWN_ENCODING: MessageFault = { kind: 'malformed', cause: 'the message has an unknown `grpc-encoding`' };
const UNREADABLE: MessageFault = { kind: 'malformed', cause: 'the message cannot be decompressed' };

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
}
