import { toError } from './opa-abi.ts';
import {
  type CallBuiltin,
  cloneWasmInstance,
  createWasmInstance,
  type WasmInstance,
  type WasmInstanceParts,
  WORK_BYTES,
} from './opa-wasm.ts';
import { PolicyLoadError } from './policy-engine.ts';
import { pagesOf } from './wasm-memory.ts';

/** One instance that answers and one that stands ready, so that the request after a discarded one does not wait. */
export interface InstancePool {
  /** The one that was loaded first; its names hold for all. */
  readonly first: WasmInstance;
  /** The instance to evaluate on, `undefined` while none is ready. */
  take(): WasmInstance | undefined;
  /** Never to be used again: its memory is in no known state. */
  discard(instance: WasmInstance): void;
  /** Looks at an instance's memory after use; one that has grown past its allowance is replaced when a spare is ready. */
  watch(instance: WasmInstance): void;
  close(): void;
}

interface InstancePoolParts {
  readonly module: WebAssembly.Module;
  readonly data: Uint8Array;
  readonly maximumBytes: number;
  readonly callBuiltin: CallBuiltin;
  readonly pause: () => Promise<void>;
  /** Hears why no further instance could be made; one is tried again when it is needed. */
  readonly onBuildFailure: (error: Error) => void;
}

/**
 * Sized from the bundle: parsed data takes up to this many times its text, and untouched pages cost nothing but address
 * space, while growing page by page costs seconds for data of some megabytes.
 */
const BYTES_PER_DATA_BYTE = 24;
/** Memory never shrinks: an instance that grew by more than this is replaced. */
const GROWTH_ALLOWANCE_BYTES = 32 * 1_048_576;

/** Throws {@link PolicyLoadError} when the policy does not fit or the module is none of OPA's. */
export function createInstancePool(settings: InstancePoolParts): InstancePool {
  const { module, data, maximumBytes, callBuiltin, pause, onBuildFailure } = settings;
  const maximumPages = pagesOf(maximumBytes);
  const parts: WasmInstanceParts = {
    module,
    initialPages: Math.min(maximumPages, pagesOf(WORK_BYTES + data.byteLength * BYTES_PER_DATA_BYTE)),
    maximumPages,
    callBuiltin,
  };
  const first = loadFirst(parts, data);
  const allowedBytes = first.memoryBytes() + GROWTH_ALLOWANCE_BYTES;
  let live: WasmInstance | undefined = first;
  let spare: WasmInstance | undefined;
  let closed = false;
  let building = false;

  /** Builds until there is a live one and a spare; a failure ends it until an instance is needed again. */
  async function build(): Promise<void> {
    if (building) return;
    building = true;
    try {
      while (!closed && spare === undefined) {
        const source = live;
        await pause();
        const built =
          source === undefined ? createWasmInstance(parts, data) : await cloneWasmInstance(parts, source, pause);
        if (live === undefined) live = built;
        // A source that was discarded meanwhile vouches for nothing.
        else if (live === source) spare = built;
      }
    } catch (error) {
      onBuildFailure(toError(error));
    } finally {
      building = false;
    }
    if (closed) live = spare = undefined;
  }

  function replace(): void {
    live = spare;
    spare = undefined;
    void build();
  }

  void build();
  return {
    first,
    take: () => {
      if (live === undefined && !closed) void build();
      return live;
    },
    discard: (instance) => {
      if (instance === live) replace();
    },
    watch: (instance) => {
      if (instance === live && spare !== undefined && instance.memoryBytes() > allowedBytes) replace();
    },
    close: () => {
      closed = true;
      live = undefined;
      spare = undefined;
    },
  };
}

function loadFirst(parts: WasmInstanceParts, data: Uint8Array): WasmInstance {
  try {
    return createWasmInstance(parts, data);
  } catch (thrown) {
    const cause = toError(thrown);
    if (cause.message.includes('opa_malloc')) {
      const mib = Math.floor(parts.maximumPages / 16);
      throw new PolicyLoadError(
        'memory_exceeded',
        `the data does not fit into ${mib} MiB: raise \`policy.memory_max_mb\``,
        {
          cause,
        },
      );
    }
    throw new PolicyLoadError('invalid_wasm', `\`policy.wasm\` cannot be started: ${cause.message}`, { cause });
  }
}
