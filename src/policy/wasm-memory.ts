import { isUtf8 } from 'node:buffer';

/** A Wasm memory, with texts in and out. */
export interface WasmMemory {
  readonly memory: WebAssembly.Memory;
  readonly byteLength: () => number;
  /**
   * A C string. Bytes that are no UTF-8 become U+FFFD, as they do in OPA's own JSON; `strict` refuses them, since two
   * different texts would look the same.
   */
  readText(address: number, mode?: 'strict'): string;
  /** Writes text as UTF-8, `byteLength` bytes of it. */
  writeText(text: string, address: number, byteLength: number): void;
}

/** Sizes in pages of 64 KiB. */
export function createWasmMemory(initial: number, maximum: number): WasmMemory {
  const memory = new WebAssembly.Memory({ initial, maximum });
  let view = Buffer.from(memory.buffer);

  function bytes(): Buffer {
    // Growing detaches the view, which then has no bytes left.
    if (view.length === 0) view = Buffer.from(memory.buffer);
    return view;
  }

  return {
    memory,
    byteLength: () => memory.buffer.byteLength,
    readText: (address, mode) => {
      const all = bytes();
      const start = address >>> 0;
      const end = all.indexOf(0, start);
      if (end < 0) throw new Error('the policy engine answered with an endless text');
      const text = all.toString('utf8', start, end);
      if (mode === 'strict' && text.includes('\ufffd') && !isUtf8(all.subarray(start, end))) {
        throw new Error('a builtin of the host was given bytes that are no UTF-8');
      }
      return text;
    },
    writeText: (text, address, byteLength) => {
      bytes().write(text, address >>> 0, byteLength, 'utf8');
    },
  };
}

/** Pages of 64 KiB that hold so many bytes. */
export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / 65_536);
}
